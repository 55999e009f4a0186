package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/account"
	"github.com/perseus-edge/perseus-edge/directory/notice"
	"github.com/perseus-edge/perseus-edge/directory/web"
	"github.com/perseus-edge/perseus-edge/identity"
)

// accountsKey is the file, in the folder of the authorities, of the key that
// seals the secrets of people's authenticator apps.
const accountsKey = "accounts.key"

// makeAccountsKey makes the key where there is none.
func makeAccountsKey(c *config, out io.Writer) error {
	path := filepath.Join(c.path(c.Directory.Authorities), accountsKey)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key := make([]byte, account.KeySize)
	rand.Read(key) // never fails (crypto/rand)
	if err := identity.WriteFile(path, key, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(out, "made %s: it belongs into the backup; without it people must set up their phones again\n", path)
	return nil
}

// openAccounts opens the accounts of a directory. On SQLite, which one machine
// has to itself, a missing key is made; several machines on one PostgreSQL must
// share one, so there it must be made on purpose.
func openAccounts(c *config, dir *directory.Service) (*account.Service, error) {
	path := filepath.Join(c.path(c.Directory.Authorities), accountsKey)
	if strings.HasPrefix(c.Database, "sqlite:") {
		if err := makeAccountsKey(c, io.Discard); err != nil {
			return nil, err
		}
	}
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: it seals what people sign in with. Copy it from another machine of this directory, or make it with perseus-central init if this is the first", path)
	} else if err != nil {
		return nil, err
	}
	s, err := account.New(account.Config{DB: dir.DB, Key: key, URL: c.Directory.URL, Name: c.Directory.Operator, Now: dir.Now, Logger: dir.Logger})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// manage puts the web application beside what the directory serves, and gives
// what must run besides.
func manage(c *config, dir *directory.Service, public http.Handler) (http.Handler, func(context.Context) error, error) {
	accounts, err := openAccounts(c, dir)
	if err != nil {
		return nil, nil, err
	}
	mail, err := c.mailer()
	if err != nil {
		return nil, nil, err
	}
	app, err := web.New(web.Config{Directory: dir, Accounts: accounts, Logger: dir.Logger, Mail: mail})
	if err != nil {
		return nil, nil, err
	}
	pages := app.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No mux: it would redirect OCSP requests that have two slashes in a row.
		if p := r.URL.Path; p == web.Prefix || strings.HasPrefix(p, web.Prefix+"/") {
			pages.ServeHTTP(w, r)
			return
		}
		public.ServeHTTP(w, r)
	}), accounts.Run, nil
}

// mailer sends messages to people by the mail server that warnings go by; nil
// where none is configured.
func (c *config) mailer() (func(ctx context.Context, to, subject, text string) error, error) {
	if c.Directory.Warnings.Mail.Server == "" {
		return nil, nil
	}
	w, err := c.warnings()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, to, subject, text string) error {
		return w.Mail.Send(ctx, notice.Notice{ID: rand.Text(), At: time.Now(), To: []string{to}, Subject: subject, Text: text})
	}, nil
}

// link is what a command that makes one prints.
func link(dir *directory.Service, page, secret, email string, life time.Duration) map[string]string {
	return map[string]string{"email": email, "link": dir.BaseURL + web.Prefix + "/" + page + "/" + secret, "expires": dir.Now().UTC().Add(life).Format(time.RFC3339)}
}

func accountInvite(f *flag.FlagSet) adminFunc {
	var l account.Link
	f.StringVar(&l.Email, "email", "", "`address` of the person")
	f.StringVar(&l.Member, "member", "", "`id` of the organisation that the person is to act for")
	f.BoolVar(&l.Administrator, "administrator", false, "the person is to be an administrator of the directory")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if l.Email == "" || l.Member == "" && !l.Administrator {
			return nil, fmt.Errorf("%w: give --email, and --member or --administrator", errUsage)
		}
		s, err := openAccounts(c, d)
		if err != nil {
			return nil, err
		}
		secret, err := s.Invite(ctx, l)
		if err != nil {
			return nil, err
		}
		return link(d, "invitation", secret, l.Email, account.InviteLife), nil
	}
}

// accountLink makes a link for somebody who has an account.
func accountLink(page string, life time.Duration, make func(context.Context, *account.Service, account.Account) (string, error)) func(*flag.FlagSet) adminFunc {
	return func(f *flag.FlagSet) adminFunc {
		email := f.String("email", "", "`address` of the person")
		return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
			s, err := openAccounts(c, d)
			if err != nil {
				return nil, err
			}
			a, err := s.ByEmail(ctx, *email)
			if err != nil {
				return nil, fmt.Errorf("--email %q: %w", *email, err)
			}
			secret, err := make(ctx, s, a)
			if err != nil {
				return nil, err
			}
			return link(d, page, secret, a.Email, life), nil
		}
	}
}

var (
	accountRestore = accountLink("invitation", account.RestoreLife, func(ctx context.Context, s *account.Service, a account.Account) (string, error) {
		return s.RestoreLink(ctx, a, "")
	})
	accountPassword = accountLink("password", account.HandedLife, func(ctx context.Context, s *account.Service, a account.Account) (string, error) {
		return s.PasswordLink(ctx, a, "", account.HandedLife)
	})
)
