package mqtt

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/mqtt/value"
)

// Broker is a connection to a broker, or to the first of several that is up.
type Broker struct {
	cfg    Config
	urls   []*url.URL
	format format
	points [][]point // by device
	pace   pace

	tallies []drivers.Tally // by device

	mu         sync.Mutex
	client     paho.Client // nil while nobody listens
	connects   uint64      // connections made so far
	subscribed uint64      // the one of them on which all is subscribed
	err        error       // what went wrong last
	url        string      // tried last
	stats      Stats
}

// format turns messages into values. It is used by one goroutine.
type format interface {
	// filters are what to subscribe to.
	filters() []filter
	// connected is told that messages may have been missed, and says what to publish.
	connected(now time.Time) []publication
	// message reads one, and says what to publish. An error says that it could
	// not be read at all.
	message(m *message, hear func(device, point int, v value.Value)) ([]publication, error)
}

// publication is something to say.
type publication struct {
	topic   string
	payload []byte
	why     string // for the log
}

// pace has the times of a connection. A broker that is gone without a word is
// noticed after keepAlive and ping at most.
type pace struct {
	keepAlive time.Duration // without traffic, until the broker is asked whether it is there; whole seconds
	ping      time.Duration // for its answer
	connect   time.Duration // for a connection
	retry     time.Duration // between two first attempts
	longest   time.Duration // between two attempts after a loss
	answer    time.Duration // for the answer to a subscription
	again     time.Duration // until a refused subscription is tried again: rights may have been given
}

var usualPace = pace{keepAlive: 20 * time.Second, ping: 10 * time.Second, connect: 10 * time.Second, retry: 5 * time.Second, longest: 30 * time.Second, answer: 10 * time.Second, again: time.Minute}

// quiesce is how many milliseconds there are for what is under way at the end.
const quiesce = 250

var errNotYet = errors.New("not connected yet")

// incoming hands a message to Listen's goroutine and back.
type incoming struct {
	message
	done chan struct{} // closed when its readings have been delivered
}

// Listen delivers readings until ctx ends; see drivers.Listener.
func (b *Broker) Listen(ctx context.Context, deliver func(device int, r []drivers.Reading)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also lets go of whoever waits to be heard, should deliver panic
	inbox := make(chan *incoming)
	up := make(chan struct{}, 1)
	say := make(chan publication, 64)

	client := paho.NewClient(b.options(ctx, inbox, up))
	b.use(client)
	client.Connect() // tries until it succeeds
	defer client.Disconnect(quiesce)
	defer b.use(nil)
	var speaker sync.WaitGroup
	defer speaker.Wait()
	defer cancel()
	speaker.Go(func() { b.speak(ctx, client, up, say) })

	h := hearer{broker: b, deliver: deliver}
	for {
		select {
		case <-ctx.Done():
			return nil
		case in := <-inbox:
			if in.done == nil {
				b.publish(say, b.format.connected(b.cfg.Now()))
				continue
			}
			b.publish(say, h.hear(&in.message))
			close(in.done)
		}
	}
}

// publish hands over what the format wants said. What finds no room is left
// out: whoever needs an answer asks again.
func (b *Broker) publish(say chan<- publication, all []publication) {
	for _, p := range all {
		select {
		case say <- p:
		default:
		}
	}
}

// options configures paho: a session that outlives connections, order kept,
// acknowledged by us.
func (b *Broker) options(ctx context.Context, inbox chan<- *incoming, up chan<- struct{}) *paho.ClientOptions {
	o := paho.NewClientOptions()
	for _, u := range b.urls {
		o.AddBroker(u.String())
	}
	o.SetClientID(b.cfg.ClientID).SetUsername(b.cfg.User).SetPassword(b.cfg.Password)
	if b.cfg.TLS != nil {
		o.SetTLSConfig(b.cfg.TLS)
	}
	// 3.1.1 and nothing else: a failure would make paho fall back to 3.1 for good.
	o.SetProtocolVersion(4).SetCleanSession(false).SetOrderMatters(true).SetAutoAckDisabled(true)
	o.SetConnectRetry(true).SetConnectRetryInterval(b.pace.retry).SetAutoReconnect(true).SetMaxReconnectInterval(b.pace.longest)
	o.SetKeepAlive(b.pace.keepAlive).SetPingTimeout(b.pace.ping).SetConnectTimeout(b.pace.connect).SetWriteTimeout(b.pace.answer)
	// Messages of a kept session come before we have subscribed anew, and are
	// nobody's in paho's eyes: so there is one handler for all.
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		in := &incoming{message{m.Topic(), m.Payload(), m.Retained(), m.Duplicate(), b.cfg.Now()}, make(chan struct{})}
		select {
		case inbox <- in:
		case <-ctx.Done():
			return // not acknowledged: the broker keeps it for the next time
		}
		select {
		case <-in.done:
			m.Ack()
		case <-ctx.Done():
		}
	})
	o.SetOnConnectHandler(func(paho.Client) {
		b.mu.Lock()
		b.connects++
		b.stats.Connects++
		b.mu.Unlock()
		select {
		case up <- struct{}{}:
		default: // an older one was not seen yet: one is enough
		}
		select {
		case inbox <- &incoming{}:
		case <-ctx.Done():
		}
	})
	o.SetConnectionNotificationHandler(b.notified)
	return o
}

// notified follows what becomes of the connection.
func (b *Broker) notified(_ paho.Client, n paho.ConnectionNotification) {
	switch n := n.(type) {
	case paho.ConnectionNotificationBroker:
		b.mu.Lock()
		b.url = n.Broker.Redacted()
		b.mu.Unlock()
	case paho.ConnectionNotificationBrokerFailed:
		b.down(&drivers.Error{Kind: drivers.Refused, Op: "connect to " + n.Broker.Redacted(), Err: n.Reason, Hint: "is the address right and the broker on?"})
	case paho.ConnectionNotificationFailed:
		b.down(&drivers.Error{Kind: drivers.Refused, Op: "connect to " + b.cfg.URLs[len(b.cfg.URLs)-1], Err: n.Reason, Hint: hint(n.Reason)})
	case paho.ConnectionNotificationLost:
		b.down(&drivers.Error{Kind: drivers.Timeout, Op: "listen to the broker", Err: first(n.Reason, errors.New("connection lost")),
			Hint: "where this comes every few seconds, another client uses the client id " + b.cfg.ClientID})
	}
}

// use begins or ends the use of a client.
func (b *Broker) use(c paho.Client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.client, b.err, b.subscribed = c, errNotYet, 0
}

// down notes why nothing can be heard.
func (b *Broker) down(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// Health says how the broker does; see drivers.Listener.
func (b *Broker) Health() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.client == nil:
		return errNotYet
	case b.client.IsConnectionOpen() && b.subscribed == b.connects && b.connects > 0:
		return nil // whatever was said of an earlier connection
	}
	return b.err
}
