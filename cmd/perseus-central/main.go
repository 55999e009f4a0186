// Command perseus-central is the directory (who is who, certificates) and the
// relay (ingest, permissions, consumption, emissions, bank), either or both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
)

const usage = `perseus-central is the Perseus Edge directory and relay.

  perseus-central init --config FILE                 make what is missing: authorities, database, the relay's own identity
  perseus-central serve --config FILE                run
  perseus-central member add --config FILE --id ID --name NAME [--brand NAME] --role edp|cap|fsp [--role ..]
  perseus-central application add --config FILE --member ID --id ID --name NAME [--role ..]
  perseus-central certificate issue --config FILE --application ID --kind client|signing --out PREFIX
  perseus-central certificate revoke --config FILE --serial DECIMAL
  perseus-central gateway add --config FILE --member ID --name NAME --site NAME
  perseus-central token issue --config FILE --member ID --access reader|owner|admin
  perseus-central version

--config defaults to /etc/perseus-edge/central.yaml. Commands that add print JSON.
Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
`

// errUsage marks what the caller got wrong; it ends the program with 2.
var errUsage = errors.New("wrong usage: see perseus-central help")

// configError is a mistake in the configuration; it too ends with 2.
type configError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage), errors.As(err, new(configError)):
		fmt.Fprintln(stderr, "perseus-central:", err)
		return 2
	default:
		fmt.Fprintln(stderr, "perseus-central:", err)
		return 1
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return errUsage
	}
	command, rest := args[0], args[1:]
	if len(rest) > 0 && (command == "member" || command == "application" || command == "certificate" || command == "gateway" || command == "token") {
		command, rest = command+" "+rest[0], rest[1:]
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "/etc/perseus-edge/central.yaml", "configuration `file`")
	withConfig := func(f func(*config) error) error {
		if err := flags.Parse(rest); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
		}
		c, err := loadConfig(*path)
		if err != nil {
			return configError{err}
		}
		return f(c)
	}
	switch command {
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return nil
	case "version":
		fmt.Fprintln(stdout, "perseus-central", version())
		return nil
	case "init":
		return withConfig(func(c *config) error { return initialise(ctx, c, stderr) })
	case "serve":
		return withConfig(func(c *config) error { return serve(ctx, c, stderr) })
	}
	if cmd, ok := adminCommands[command]; ok {
		do := cmd(flags)
		return withConfig(func(c *config) error { return admin(ctx, c, stdout, do) })
	}
	if verbs := verbsOf(command); len(verbs) > 0 {
		return fmt.Errorf("%w: %s what? Use one of: %s", errUsage, strings.Fields(command)[0], strings.Join(verbs, ", "))
	}
	return fmt.Errorf("%w: no command %q", errUsage, command)
}

// verbsOf lists the commands that begin with a word, such as "member add".
func verbsOf(word string) (verbs []string) {
	word, _, _ = strings.Cut(word, " ")
	for c := range adminCommands {
		if strings.HasPrefix(c, word+" ") {
			verbs = append(verbs, c)
		}
	}
	slices.Sort(verbs)
	return verbs
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(built from source)"
}
