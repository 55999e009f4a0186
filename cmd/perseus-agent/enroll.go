package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/perseus-edge/perseus-edge/agent/config"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/keystore"
	"github.com/perseus-edge/perseus-edge/uplink"
)

var enrollCommand = command{
	name: "enroll", short: "give this gateway its identity, with a code from the directory",
	long: `Makes this gateway's keys, which never leave it, and has the directory issue certificates for them against a one-time code.
--code also takes the whole address that the QR code holds; --url is then not needed. Where the directory's answer is lost, the same command gets it again.
The keys are made in a file that the agent's account alone can read, in the machine's TPM 2.0, or in a PKCS#11 token (uplink: key_store, or --key-store).
The identity goes into the folder that the configuration names (uplink: identity). A running agent takes it up by itself, and renews the certificates at two thirds of their life. A gateway whose certificates have ended or were revoked is enrolled again the same way, with a new code.`,
	run: func(in *invocation) error {
		file := in.configFlag()
		directory := in.String("url", "", "the directory's `URL`, https://...")
		code := in.String("code", "", "the one-time `CODE`, such as "+identity.ExampleEnrolCode+", or what its QR code holds")
		ca := in.String("ca", "", "PEM `FILE` of the authority of a private directory and relay")
		dir := in.String("identity", "", "`FOLDER` for the identity, where the configuration does not say")
		keys := in.String("key-store", "", "where the keys are made: `auto`, file, tpm, pkcs11, or a PKCS#11 URI that names a token")
		force := in.Bool("force", false, "replace a working identity")
		other := in.Bool("other-gateway", false, "become another gateway than this one has been, of another business, say")
		if err := in.parse(0, 0); err != nil {
			return err
		}
		cfg, err := config.Load(*file)
		missing := errors.Is(err, os.ErrNotExist)
		if err != nil && !missing {
			return configProblem(err)
		}
		into := *dir
		configured := cfg != nil && cfg.Uplink != nil
		if configured {
			if into == "" {
				into = cfg.Uplink.Identity
			}
			if *ca == "" {
				*ca = cfg.Uplink.CA
			}
			if *directory == "" {
				*directory = cfg.Uplink.Directory
			}
			if *keys == "" {
				*keys = cfg.Uplink.KeyStore
			}
		}
		if _, _, link := identity.ParseEnrolLink(*code); *code == "" || *directory == "" && !link {
			return wrong("give --url and --code: the directory shows both when a gateway is added there")
		}
		if err := keystore.CheckKind(*keys); err != nil {
			return wrong("--key-store %v", err)
		}
		if into == "" {
			into = filepath.Join(config.DataDir(), "identity")
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		defer stop()
		if (*keys == "" || *keys == keystore.Auto) && !keystore.TokenMeant() && forAnother(into) {
			// Whether that account may use the TPM cannot be tried from here.
			*keys = keystore.File
		}
		e, err := uplink.Enroll(ctx, uplink.EnrollRequest{Directory: *directory, Code: *code, Dir: into, CAFile: *ca, Keys: *keys, Force: *force, Other: *other})
		if errors.Is(err, identity.ErrMistyped) {
			return wrong("%v", err)
		}
		if err != nil {
			handOver(into) // the keys of a lost answer: the service must be able to go on with them, or to remove them
			return err
		}
		if err := handOver(into); err != nil {
			return fmt.Errorf("enrolled, but the service's account cannot be given %s: %w", into, err)
		}
		nextStep(in.stdout, *file, cfg, e, into)
		return nil
	},
}

// nextStep says what is left to do after enrolment.
func nextStep(w io.Writer, file string, cfg *config.Config, e uplink.Enrolment, dir string) {
	if whole, err := filepath.Abs(dir); err == nil { // the configuration's relative paths start elsewhere
		dir = whole
	}
	fmt.Fprintf(w, "Enrolled as %s for %s.\nThe identity is in %s.\n\n", e.Gateway, e.Organisation, dir)
	switch {
	case cfg == nil || cfg.Uplink == nil:
		fmt.Fprintf(w, "Next: add this to %s, then start the agent again:\n\n  uplink: {url: %q, identity: %q}\n", file, e.Relay, dir)
	case cfg.Uplink.Identity != dir:
		fmt.Fprintf(w, "Next: set uplink: identity in %s to %q, then start the agent again.\n", file, dir)
	case e.Relay != "" && cfg.Uplink.URL != "" && cfg.Uplink.URL != e.Relay:
		fmt.Fprintf(w, "Next: the directory says that the relay is %s, but %s says %s: correct one of them, then start the agent again.\n", e.Relay, file, cfg.Uplink.URL)
	case findDaemon(cfg) != nil:
		fmt.Fprintf(w, "Next: nothing. The agent takes the identity up within half a minute; its page is http://%s/\nIt shows the meter code: the business types that on the permission page that its bank sends it to, and keeps it to itself.\n", cfg.Web.Listen)
	default:
		fmt.Fprintf(w, "Next: start the agent. Its page is http://%s/\nIt shows the meter code: the business types that on the permission page that its bank sends it to, and keeps it to itself.\n", cfg.Web.Listen)
	}
}
