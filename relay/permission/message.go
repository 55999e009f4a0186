package permission

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/relay/database"
)

// Messages of withdrawal (IB1 withdrawal-of-permission 1.0 and
// message-delivery-to-applications 1.0). They are queued in the transaction of
// the withdrawal, one for each refresh token that it ended, and delivered
// afterwards by whichever process takes them. A message may arrive twice (a
// process died between delivery and its note of it): receivers must not mind.
const (
	// messageTries is how often a message is tried, over about three days,
	// before it is a dead letter.
	messageTries = 20
	// messageLease is for how long a process has a message to itself. It is
	// longer than one delivery may take (deliveryTime).
	messageLease = 2 * time.Minute
	deliveryTime = 45 * time.Second
	// messagesAtOnce is how many one process delivers at the same time, so that
	// a recipient that hangs does not hold up the others.
	messagesAtOnce = 8

	firstPause = 30 * time.Second
	maxPause   = 6 * time.Hour
)

// message is a message of withdrawal as the scheme writes it.
type message struct {
	Framework string      `json:"ib1:message"` // URL of the trust framework
	Subject   string      `json:"subject"`
	Body      messageBody `json:"body"`
}

type messageBody struct {
	Token string `json:"token"`
}

// Delivery is how messages leave.
type Delivery interface {
	// Deliver sends a JSON message to an application of the directory. id is
	// the same at every try of one message.
	Deliver(ctx context.Context, application, id string, body []byte) error
}

// outgoing says that there may be something to deliver.
type outgoing struct{ ch chan struct{} }

func (o outgoing) wake() {
	select {
	case o.ch <- struct{}{}:
	default: // woken already
	}
}

// queueMessages queues one message for each refresh token of a permission that
// works until this moment.
func queueMessages(ctx context.Context, tx *sql.Tx, now time.Time, p withdrawn) error {
	rows, err := tx.QueryContext(ctx, `SELECT hash FROM oauth_tokens
		WHERE permission = $1 AND kind = 'refresh' AND revoked = 0 AND expires > $2 AND sealed IS NOT NULL`, p.ID, now.Unix())
	if err != nil {
		return err
	}
	var hashes [][]byte
	for rows.Next() {
		var h []byte
		if err := rows.Scan(&h); err != nil {
			rows.Close()
			return err
		}
		hashes = append(hashes, h)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, h := range hashes {
		_, err := tx.ExecContext(ctx, `INSERT INTO messages (id, permission, token, client, created, due) VALUES ($1,$2,$3,$4,$5,$5)
			ON CONFLICT (token) DO NOTHING`, newName(), p.ID, h, p.Client, now.Unix())
		if err != nil {
			return fmt.Errorf("queue the message: %w", err)
		}
	}
	return nil
}

// leased is a message that this process has to itself.
type leased struct {
	id, permission, client, lease string
	token                         []byte // hash
	attempts                      int    // this one included
}

// lease takes the message that has been due for longest: in one statement, so
// that of any number of processes one has it. None: false.
func (s *Service) lease(ctx context.Context) (m leased, ok bool, err error) {
	skip := ""
	if s.db.Dialect == database.PostgreSQL {
		skip = " FOR UPDATE SKIP LOCKED" // others take the next one, they do not wait for this
	}
	m.lease = rand.Text()
	now := s.now()
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `UPDATE messages SET lease = $1, lease_until = $2, attempts = attempts + 1
			WHERE id = (SELECT id FROM messages WHERE sent = 0 AND dead = 0 AND due <= $3 AND lease_until <= $3 ORDER BY due, id LIMIT 1`+skip+`)
			RETURNING id, permission, client, token, attempts`, m.lease, now.Add(messageLease).Unix(), now.Unix()).
			Scan(&m.id, &m.permission, &m.client, &m.token, &m.attempts)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return leased{}, false, nil
	}
	return m, err == nil, err
}

// lookEvery is how soon a message is found that another process queued, or
// whose pause is over.
const lookEvery = 20 * time.Second

// runDeliveries delivers what is due until ctx ends.
func (s *Service) runDeliveries(ctx context.Context) {
	if s.c.Messages == nil {
		return
	}
	d := deliveries{places: make(chan struct{}, messagesAtOnce)}
	defer d.Wait()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		if err := s.deliver(ctx, &d); err != nil && ctx.Err() == nil {
			s.log.Error("permission: messages cannot be read, will try again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.outgoing.ch:
		case <-t.C:
		}
	}
}

// deliveries are the deliveries under way of one process.
type deliveries struct {
	places chan struct{}
	sync.WaitGroup
}

// deliver begins to deliver every message that is due. It waits for a free
// place, not for the deliveries: a recipient that hangs holds up nobody.
func (s *Service) deliver(ctx context.Context, d *deliveries) error {
	for {
		select {
		case d.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		m, ok, err := s.lease(ctx)
		if err != nil || !ok {
			<-d.places
			return err
		}
		d.Go(func() {
			defer func() { <-d.places }()
			if err := s.deliverOne(ctx, m); err != nil && ctx.Err() == nil {
				s.log.Error("permission: the fate of a message could not be noted, it will be sent again", "message", m.id, "error", err)
			}
		})
	}
}

// deliverOne tries a message once and notes what came of it.
func (s *Service) deliverOne(ctx context.Context, m leased) error {
	failure := s.send(ctx, m)
	if ctx.Err() != nil {
		return ctx.Err() // stopping: the lease runs out, another process takes it
	}
	now := s.now()
	if failure == nil {
		s.log.Info("permission: client told of the withdrawal", "message", m.id, "permission", m.permission, "client", m.client, "attempts", m.attempts)
		return s.settleMessage(ctx, m, `sent = $3, problem = ''`, now.Unix())
	}
	problem := clip(cleanAgent(failure.Error()), 500)
	if m.attempts >= messageTries {
		s.log.Error("permission: client could not be told of the withdrawal, given up: see perseus-central messages list --state dead",
			"message", m.id, "permission", m.permission, "client", m.client, "attempts", m.attempts, "error", problem)
		return s.settleMessage(ctx, m, `dead = $3, problem = $4`, now.Unix(), problem)
	}
	due := now.Add(messagePause(m.attempts))
	s.log.Warn("permission: client not told of the withdrawal yet, will try again",
		"message", m.id, "permission", m.permission, "client", m.client, "attempts", m.attempts, "next", due, "error", problem)
	return s.settleMessage(ctx, m, `due = $3, problem = $4`, due.Unix(), problem)
}

// settleMessage ends a lease, if it is still ours.
func (s *Service) settleMessage(ctx context.Context, m leased, set string, args ...any) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE messages SET lease = '', lease_until = 0, `+set+` WHERE id = $1 AND lease = $2`,
			append([]any{m.id, m.lease}, args...)...)
		return err
	})
}

// messagePause is how long to wait after so many tries: twice as long each
// time, with up to a fifth more by chance, so that many do not come at once.
func messagePause(attempts int) time.Duration {
	p := min(firstPause<<min(attempts-1, 20), maxPause)
	extra, err := rand.Int(rand.Reader, big.NewInt(int64(p/5)))
	if err != nil {
		return p
	}
	return p + time.Duration(extra.Int64())
}

func (s *Service) send(ctx context.Context, m leased) error {
	ctx, cancel := context.WithTimeout(ctx, deliveryTime)
	defer cancel()
	var sealed []byte
	if err := s.db.QueryRowContext(ctx, `SELECT sealed FROM oauth_tokens WHERE hash = $1`, m.token).Scan(&sealed); err != nil {
		return fmt.Errorf("read the token: %w", err)
	}
	token, err := s.seal.open(sealed, m.permission)
	if err != nil {
		return err
	}
	body, err := json.Marshal(message{s.c.Scheme.TrustFramework(), s.c.WithdrawalSubject, messageBody{token}})
	if err != nil {
		return err
	}
	return s.c.Messages.Deliver(ctx, m.client, m.id, body)
}
