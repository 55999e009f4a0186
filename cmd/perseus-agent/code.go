package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/agent/web"
	"github.com/perseus-edge/perseus-edge/store"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var codeCommand = command{
	name: "code", args: "[new]", short: "show the meter code, or make a new one",
	long: `Shows the code by which the business recognises its meter on the permission pages. With new it makes another, after a question (--yes answers it):
the one before ends at once, and accounts on the permission pages lose the site until the new one is typed there. Permissions that were given go on.
A new code is made for a new tenant, or where others have seen the present one.`,
	run: func(in *invocation) error { return codeVerb(in, os.Stdin) },
}

// codeRetired is what status says of a code that stands for the site no more.
const codeRetired = "the meter code is no longer valid: the site has a new tenant. Make a new code with perseus-agent code new, or on the gateway's page"

func codeVerb(in *invocation, stdin io.Reader) error {
	file := in.configFlag()
	yes := in.Bool("yes", false, "make a new code without a question")
	verb, most := "", 1
	// The verb may stand before or after the flags.
	if len(in.argv) > 0 && !strings.HasPrefix(in.argv[0], "-") {
		verb, in.argv, most = in.argv[0], in.argv[1:], 0
	}
	if err := in.parse(0, most); err != nil {
		return err
	}
	if verb == "" {
		verb = in.Arg(0)
	}
	if verb != "" && verb != "new" {
		return wrong("%q is not expected here: use new, or nothing", verb)
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return configProblem(err)
	}
	if cfg.Uplink == nil {
		return agent.ErrNoCode
	}
	if d := findDaemon(cfg); d != nil {
		if verb == "" {
			return showCode(in.stdout, d.status)
		}
		return in.newCode(*yes, stdin, d.status.Code, d.newCode)
	}
	log, _ := newLogger(in.stderr, "warn")
	return withStore(cfg, log, false, func(s *store.Store) error {
		code, err := uplink.SiteCode(s)
		if err != nil {
			return err
		}
		if verb == "" {
			return showCode(in.stdout, agent.Status{Code: code, Uplink: &agent.UplinkStatus{}})
		}
		return in.newCode(*yes, stdin, code, func() (web.NewCodeAnswer, error) {
			code, err := uplink.MakeCode(s)
			return web.NewCodeAnswer{Code: code, NotTold: "the agent is not running: the relay hears of the new code when it does, and until then the one before still works there"}, err
		})
	})
}

func showCode(w io.Writer, s agent.Status) error {
	if s.Retired {
		return errors.New(codeRetired)
	}
	printCode(w, s)
	return nil
}

// printCode says the code of a gateway that sends, and how to use it.
func printCode(w io.Writer, s agent.Status) {
	if s.Code == "" || s.Uplink == nil {
		return
	}
	fmt.Fprintf(w, "Your meter code: %s\n  Type it on the permission page that your bank sends you to. Keep it to yourself: who has it can answer for you.\n", s.Code)
	if d := s.Uplink.Status; d != nil && d.CodeNotTold {
		fmt.Fprintln(w, "  The relay has not heard of this code yet: it works as soon as this gateway has reached it. Until then an earlier code, if there was one, still works.")
	}
	fmt.Fprintln(w)
}

// newCode asks, has the code made, and says what became of it.
func (in *invocation) newCode(yes bool, stdin io.Reader, present string, anew func() (web.NewCodeAnswer, error)) error {
	if !yes {
		if present != "" {
			fmt.Fprintf(in.stdout, "The present meter code is %s. It ends at once: nobody can use it any more, wherever it was written down.\n", present)
		}
		fmt.Fprint(in.stdout, "Accounts on the permission pages lose this site until the new code is typed there.\nMake a new meter code? Type yes: ")
		line, err := bufio.NewReader(io.LimitReader(stdin, 100)).ReadString('\n')
		if err != nil {
			fmt.Fprintln(in.stdout)
		}
		if strings.ToLower(strings.TrimSpace(line)) != "yes" {
			return errors.New("nothing was changed: answer yes, or give --yes")
		}
	}
	made, err := anew()
	if err != nil {
		return err
	}
	fmt.Fprintf(in.stdout, "Your new meter code: %s\n", made.Code)
	if made.NotTold != "" {
		return errors.New(made.NotTold)
	}
	fmt.Fprintln(in.stdout, "The one before is no longer valid.")
	return nil
}

// newCode has the running agent make a new code.
func (d *daemon) newCode() (a web.NewCodeAnswer, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.base+"/api/v1/code", nil)
	if err != nil {
		return a, err
	}
	body, err := d.do(req)
	if err != nil {
		return a, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, 64<<10)).Decode(&a); err != nil {
		return a, fmt.Errorf("the running agent: its answer cannot be read: %w", err)
	}
	return a, nil
}
