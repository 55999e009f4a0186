// Command perseus-central is the directory (who is who, certificates) and the
// relay (ingest, permissions, consumption, emissions, bank), either or both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
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
  perseus-central site add --config FILE --member ID --name NAME --outcode SW8 [--qr FILE.png]   a site, its gateway and the code that enrols it
  perseus-central site list --config FILE --member ID
  perseus-central gateway add --config FILE --member ID --name NAME --site NAME [--qr FILE.png]  one more gateway
  perseus-central gateway list --config FILE --member ID                 how they stand
  perseus-central gateway code --config FILE --id ID [--qr FILE.png]     a new code; the one before ends
  perseus-central gateway withdraw --config FILE --id ID                 the code ends
  perseus-central gateway revoke --config FILE --id ID [--reason TEXT]   it can send nothing more, until it is enrolled with a new code
  perseus-central token issue --config FILE --member ID --access reader|owner | --access admin   for the member API; an admin's acts for every member
  perseus-central token revoke --config FILE --id ID                     a token ends; its id stands in audit list --action token.issue
  perseus-central account invite --config FILE --email ADDRESS --administrator | --member ID   a link to hand over; the first administrator begins so
  perseus-central account password --config FILE --email ADDRESS         a link for a new password; the second step stays
  perseus-central account restore --config FILE --email ADDRESS          a link to set up password and second step anew
  perseus-central audit list --config FILE [--since DAY] [--member ID] [--action member.] [--format table|json|csv] ..
  perseus-central audit head --config FILE           the end of the audit log, to be noted elsewhere
  perseus-central audit verify --config FILE [--head HEAD]   that nothing in the audit log was changed or taken out
  perseus-central ceremony request --config FILE --out FOLDER    the issuers' keys (they stay) and requests for the offline machine
  perseus-central ceremony sign --organisation NAME --offline MEDIUM --requests FOLDER --out FOLDER --status-url URL [--revoke FILE] [--present NAME]
                                                     roots, made or used on a machine without a network; a protocol of it
  perseus-central ceremony install --config FILE --from FOLDER   what the ceremony signed, checked and put in place
  perseus-central warnings send --config FILE [--days N]         warnings of certificates that end, now (serve does so every hour)
  perseus-central backup --config FILE --out FILE                the whole database in one file, while everything runs
  perseus-central restore --config FILE --in FILE [--move] [--check]   a backup into an empty database of either kind
  perseus-central deletion list --config FILE [--gateway URL]    what was deleted of gateways' half-hours, when and why
  perseus-central provenance verify|explain|build|sign|merge ..  provenance records, offline (perseus-central provenance help)
  perseus-central permissions list|show|withdraw|rely|code|new-tenant --config FILE ..  what businesses have agreed to, and its evidence
  perseus-central messages list|retry --config FILE ..                   whether clients were told of withdrawals; dead letters
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
	if len(rest) > 0 && (command == "member" || command == "application" || command == "certificate" || command == "gateway" || command == "site" || command == "token" || command == "account" || command == "audit" || command == "permissions" || command == "messages" || command == "ceremony" || command == "warnings" || command == "deletion") {
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
	case "provenance":
		return provenanceCommand(rest, os.Stdin, stdout, stderr)
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
	switch command {
	case "ceremony sign": // on a machine that has no configuration
		flags := flag.NewFlagSet(command, flag.ContinueOnError)
		flags.SetOutput(stderr)
		do := ceremonySign(flags)
		if err := flags.Parse(rest); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("%w: unexpected %q", errUsage, flags.Arg(0))
		}
		return do(stdout)
	case "ceremony request":
		do := ceremonyRequest(flags)
		return withConfig(func(c *config) error { return do(c, stdout) })
	case "ceremony install":
		do := ceremonyInstall(flags)
		return withConfig(func(c *config) error { return do(c, stdout) })
	}
	if cmd, ok := databaseCommands[command]; ok {
		do := cmd(flags)
		return withConfig(func(c *config) error { return onDatabase(ctx, c, stdout, do) })
	}
	if verbs := verbsOf(command); len(verbs) > 0 {
		return fmt.Errorf("%w: %s what? Use one of: %s", errUsage, strings.Fields(command)[0], strings.Join(verbs, ", "))
	}
	return fmt.Errorf("%w: no command %q", errUsage, command)
}

// verbsOf lists the commands that begin with a word, such as "member add".
func verbsOf(word string) (verbs []string) {
	word, _, _ = strings.Cut(word, " ")
	for _, c := range slices.Concat(slices.Collect(maps.Keys(adminCommands)), slices.Collect(maps.Keys(databaseCommands)), []string{"ceremony request", "ceremony sign", "ceremony install"}) {
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
