package site

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// broker is where a site publishes: one of our own, which can go down, or one
// that is given.
type broker interface {
	up(ctx context.Context, topic string, heard func(topic string, payload []byte)) error
	publish(m message) error
	down()
}

// anybody may come, read and write: it is a rehearsal.
type anybody struct{ mochi.HookBase }

func (*anybody) ID() string { return "anybody" }
func (*anybody) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (*anybody) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*anybody) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// ownBroker is a broker in this process, on loopback.
type ownBroker struct {
	address string
	server  *mochi.Server
}

func (b *ownBroker) up(ctx context.Context, topic string, heard func(string, []byte)) error {
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(anybody), nil); err != nil {
		return err
	}
	l, err := listenAgain(ctx, b.address)
	if err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewNet("site", l)); err != nil {
		return errors.Join(err, l.Close())
	}
	if topic != "" {
		err := s.Subscribe(topic, 1, func(_ *mochi.Client, _ packets.Subscription, pk packets.Packet) { heard(pk.TopicName, pk.Payload) })
		if err != nil {
			return errors.Join(err, l.Close())
		}
	}
	b.server = s
	return s.Serve()
}

func (b *ownBroker) publish(m message) error {
	return b.server.Publish(m.topic, m.payload, m.retain, 1)
}

func (b *ownBroker) down() {
	if b.server != nil {
		_ = b.server.Close()
		b.server = nil
	}
}

// givenBroker is a broker of somebody else's, at a loopback address. To be
// down is to have left it.
type givenBroker struct {
	url    string
	client paho.Client
}

const brokerPatience = 10 * time.Second

func (b *givenBroker) up(_ context.Context, topic string, heard func(string, []byte)) error {
	o := paho.NewClientOptions().AddBroker(b.url).SetClientID("perseus-sim-" + rand.Text()[:8]).SetConnectTimeout(brokerPatience).SetAutoReconnect(true).SetOrderMatters(true)
	o.SetOnConnectHandler(func(c paho.Client) {
		if topic != "" {
			c.Subscribe(topic, 1, func(_ paho.Client, m paho.Message) { go heard(m.Topic(), m.Payload()) })
		}
	})
	b.client = paho.NewClient(o)
	token := b.client.Connect()
	if !token.WaitTimeout(brokerPatience) {
		return fmt.Errorf("broker %s does not answer", b.url)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("broker %s: %w", b.url, err)
	}
	return nil
}

func (b *givenBroker) publish(m message) error {
	token := b.client.Publish(m.topic, 1, m.retain, m.payload)
	if !token.WaitTimeout(brokerPatience) {
		return errors.New("the broker does not take a message")
	}
	return token.Error()
}

func (b *givenBroker) down() {
	if b.client != nil {
		b.client.Disconnect(250)
		b.client = nil
	}
}
