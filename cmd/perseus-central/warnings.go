package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/perseus-edge/perseus-edge/directory"
	"github.com/perseus-edge/perseus-edge/directory/expiry"
	"github.com/perseus-edge/perseus-edge/directory/notice"
)

// warningsConfig says how people are warned of certificates that end.
type warningsConfig struct {
	Days     []int         `yaml:"days"`     // before the end; default [30, 14, 7, 1]
	Operator string        `yaml:"operator"` // mail address for warnings of the authorities themselves
	Mail     mailConfig    `yaml:"mail"`
	Webhook  webhookConfig `yaml:"webhook"`
}

type mailConfig struct {
	Server       string `yaml:"server"` // smtp://mail.example.org:587 (STARTTLS) or smtps://mail.example.org:465
	From         string `yaml:"from"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"` // readable by this program alone
}

type webhookConfig struct {
	URL        string `yaml:"url"`
	SecretFile string `yaml:"secret_file"` // 16 characters or more, readable by this program alone
}

// configured reports whether there is a way to warn.
func (w warningsConfig) configured() bool { return w.Mail.Server != "" || w.Webhook.URL != "" }

func (c *config) checkWarnings() error {
	w := c.Directory.Warnings
	var problems []error
	for _, d := range w.Days {
		if d < 1 || d > 400 {
			problems = append(problems, fmt.Errorf("directory.warnings.days: %d: give days from 1 to 400", d))
		}
	}
	if w.Webhook.URL != "" && w.Webhook.SecretFile == "" {
		problems = append(problems, errors.New("directory.warnings.webhook: give secret_file, with which its receiver knows us"))
	}
	if w.Mail.User != "" && w.Mail.PasswordFile == "" {
		problems = append(problems, errors.New("directory.warnings.mail: a user needs password_file"))
	}
	return errors.Join(problems...)
}

// warnings opens the ways to warn.
func (c *config) warnings() (expiry.Warnings, error) {
	w := c.Directory.Warnings
	out := expiry.Warnings{Days: w.Days, Operator: w.Operator}
	if w.Mail.Server != "" {
		var password []byte
		var err error
		if w.Mail.PasswordFile != "" {
			if password, err = readSecret(c.path(w.Mail.PasswordFile)); err != nil {
				return out, err
			}
		}
		if out.Mail, err = notice.NewMail(w.Mail.Server, w.Mail.From, w.Mail.User, string(password), nil); err != nil {
			return out, configError{fmt.Errorf("directory.warnings: %w", err)}
		}
	}
	if w.Webhook.URL != "" {
		secret, err := readSecret(c.path(w.Webhook.SecretFile))
		if err != nil {
			return out, err
		}
		if out.Webhook, err = notice.NewWebhook(w.Webhook.URL, secret, nil); err != nil {
			return out, configError{fmt.Errorf("directory.warnings: %w", err)}
		}
	}
	return out, nil
}

// readSecret reads a file that nobody else can read, without the line's end.
func readSecret(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		return nil, fmt.Errorf("%s: others can read this secret: run chmod 600 on it", path)
	}
	b, err := os.ReadFile(path)
	return bytes.TrimSpace(b), err
}

// warningsSend sends what is due, once, and says how many: to try a
// configuration, or from a timer where serve does not run all the time.
func warningsSend(f *flag.FlagSet) adminFunc {
	days := f.Int("days", 0, "warn of what ends within so many `days`, in the place of the configuration's; to try it")
	return func(ctx context.Context, c *config, d *directory.Service) (any, error) {
		if !c.Directory.Warnings.configured() {
			return nil, configError{errors.New("directory.warnings has neither mail.server nor webhook.url (docs/operator.md, Warnings)")}
		}
		w, err := c.warnings()
		if err != nil {
			return nil, err
		}
		if *days > 0 {
			w.Days = []int{*days}
		}
		n, err := expiry.New(d).Warn(ctx, w)
		return map[string]int{"sent": n}, err
	}
}
