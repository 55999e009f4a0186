package uplink

import (
	"context"
	"fmt"

	"github.com/perseus-edge/perseus-edge/identity"
)

// Where the site's code is kept, and the version of the one that the relay was
// told last.
const (
	metaCode = "site-code"
	metaTold = "site-code-told"
)

// Meta is the part of an Outbox that a code needs.
type Meta interface {
	Meta(name string) ([]byte, error)
	SetMeta(name string, v []byte) error
}

// SiteCode gives the code by which the business recognises its meter. It is made
// once and kept.
func SiteCode(o Meta) (string, error) {
	b, err := o.Meta(metaCode)
	if err != nil {
		return "", fmt.Errorf("uplink: site code: %w", err)
	}
	if code, err := identity.ParseCode(string(b)); err == nil {
		return code, nil
	}
	return MakeCode(o)
}

// MakeCode makes a new code and keeps it in the place of the one before. It is
// for a gateway whose uplink does not run; the relay hears of it when it does.
func MakeCode(o Meta) (string, error) {
	code := identity.NewCode()
	if err := o.SetMeta(metaCode, []byte(code)); err != nil {
		return "", fmt.Errorf("uplink: site code: %w", err)
	}
	return code, nil
}

// Code is what the gateway shows for the business to recognise its meter by.
func (c *Client) Code() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.site.Code
}

// CodeStands is Code, and whether it still stands for the site, as far as the
// relay has said.
func (c *Client) CodeStands() (code string, stands bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.site.Code, !c.codeRetiredLocked()
}

// NewCode makes a new code, and tells the relay at once: from then on the one
// before stands for nothing. It is kept before the relay hears of it, so that
// whatever happens the one before is never told again. Where the relay cannot be
// told, err is a *CodeNotTold: the code is made all the same, and told
// as soon as it can be.
func (c *Client) NewCode(ctx context.Context) (code string, err error) {
	if err := c.newCode(); err != nil {
		return "", err
	}
	code = c.Code()
	if err := c.register(ctx); err != nil {
		c.log.Warn("the relay could not be told of the new meter code yet", "err", err)
		c.Notify()
		c.mu.Lock()
		defer c.mu.Unlock()
		return code, &CodeNotTold{c.explainLocked(err), err}
	}
	return code, nil
}

// CodeNotTold is the error of NewCode where the code was made, but the relay
// could not be told of it yet. Why is for people.
type CodeNotTold struct {
	Why string
	err error
}

func (e *CodeNotTold) Error() string {
	return "the relay could not be told of the new code yet, so that the one before still stands there: " + e.Why
}
func (e *CodeNotTold) Unwrap() error { return e.err }

// newCode replaces the site's code.
func (c *Client) newCode() error {
	code, err := MakeCode(c.out)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.site.Code = code
	return nil
}

// loadTold takes up which code the relay was told in an earlier run.
func (c *Client) loadTold() {
	b, err := c.out.Meta(metaTold)
	if err != nil {
		c.log.Warn("whether the relay knows the meter code is not known any more", "err", err)
	}
	c.told = string(b)
}

// noteTold notes which code the relay was told.
func (c *Client) noteTold(code string) {
	version := identity.CodeVersion(code)
	c.mu.Lock()
	news := c.told != version
	c.told = version
	c.mu.Unlock()
	if !news {
		return
	}
	if err := c.out.SetMeta(metaTold, []byte(version)); err != nil { // it is for words alone
		c.log.Warn("that the relay knows the meter code could not be kept", "err", err)
	}
}

// hearCode compares the code with the one that the relay takes for this
// gateway's. Where it takes another, such as the one before after it was put
// back to a backup, it is told once more.
func (c *Client) hearCode(fresh bool) {
	c.mu.Lock()
	set, mine := c.held.set, identity.CodeVersion(c.site.Code)
	again := fresh && set.Code != "" && set.Code != mine && c.registered != nil
	if again {
		c.registered = nil
	}
	retired := fresh && c.codeRetiredLocked()
	c.mu.Unlock()
	if again {
		c.log.Info("the relay has another meter code than this gateway: it is told once more")
		c.Notify()
	}
	if retired {
		c.log.Warn("the relay says that the meter code is no longer valid, since the site has a new tenant: make a new one with perseus-agent code new")
	}
}

// codeRetiredLocked reports whether the relay said that the present code stands
// for the site no more.
func (c *Client) codeRetiredLocked() bool {
	return c.held.set.Retired && c.held.set.Code == identity.CodeVersion(c.site.Code)
}
