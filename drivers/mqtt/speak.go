package mqtt

import (
	"context"
	"errors"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// speak is the one goroutine that writes to the broker: it subscribes at each
// connect, and publishes.
func (b *Broker) speak(ctx context.Context, c paho.Client, up <-chan struct{}, say <-chan publication) {
	retry := time.NewTimer(0)
	<-retry.C
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-up:
		case <-retry.C:
			if !c.IsConnectionOpen() {
				continue // it subscribes when it is back
			}
		case p := <-say:
			b.cfg.Logger.Debug("published", "topic", p.topic, "why", p.why)
			token := c.Publish(p.topic, 0, false, p.payload)
			if b.wait(ctx, token) == nil {
				b.mu.Lock()
				b.stats.Rebirths++
				b.stats.Said += uint64(len(p.payload))
				b.mu.Unlock()
			}
			continue
		}
		b.mu.Lock()
		connect := b.connects
		b.mu.Unlock()
		if err := b.subscribe(ctx, c); err != nil {
			b.down(err)
			b.cfg.Logger.Debug("not subscribed", "error", err)
			retry.Reset(b.pace.again)
			continue
		}
		b.mu.Lock()
		b.subscribed = connect
		b.mu.Unlock()
	}
}

func (b *Broker) subscribe(ctx context.Context, c paho.Client) error {
	filters := map[string]byte{}
	for _, f := range b.format.filters() {
		filters[f.topic] = f.qos
	}
	token := c.SubscribeMultiple(filters, nil)
	if err := b.wait(ctx, token); err != nil {
		return &drivers.Error{Kind: drivers.Refused, Op: "subscribe", Err: err}
	}
	for topic, granted := range token.(*paho.SubscribeToken).Result() {
		if granted > 2 {
			return &drivers.Error{Kind: drivers.Refused, Op: "subscribe to " + topic, Err: errors.New("the broker refused it"),
				Hint: fmt.Sprintf("give the user %q the right to read it", b.cfg.User)}
		}
	}
	return nil
}

var errSilent = errors.New("the broker does not answer")

func (b *Broker) wait(ctx context.Context, token paho.Token) error {
	t := time.NewTimer(b.pace.answer)
	defer t.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errSilent
	}
}

func hint(err error) string {
	switch {
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return "are user and password right, and the client certificate the one that the broker knows?"
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return "the broker does not take this client id"
	}
	return "is the address right and the broker on?"
}
