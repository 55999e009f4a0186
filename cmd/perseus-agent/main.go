// Command perseus-agent is the gateway: it reads meters, makes half-hours,
// keeps them, and sends what a permission covers. See `perseus-agent help`.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/perseus-edge/perseus-edge/agent/config"
)

// Exit codes.
const (
	done   = 0
	failed = 1 // what was asked for could not be done
	usage  = 2 // wrong usage or configuration
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// version is set at build time with -ldflags "-X main.version=...".
var version = ""

// programVersion is the release, or what the Go tool knows of the build.
func programVersion() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" && b.Main.Version != "(devel)" {
		return b.Main.Version
	}
	return "dev"
}

// command is one subcommand.
type command struct {
	name  string
	args  string // after the flags, for the help
	short string
	long  string
	run   func(*invocation) error
}

func commands() []command {
	return []command{runCommand, checkCommand, probeCommand, scanCommand, readingsCommand, findingsCommand, statementsCommand, importCommand, statusCommand, enrollCommand, codeCommand, serviceCommand, templatesCommand, versionCommand}
}

// invocation is one call of a command.
type invocation struct {
	*flag.FlagSet
	cmd    command
	argv   []string
	stdout io.Writer
	stderr io.Writer
}

// problem is an error with an exit code of its own.
type problem struct {
	code int
	err  error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func wrong(format string, args ...any) error { return &problem{usage, fmt.Errorf(format, args...)} }

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		overview(stderr)
		return usage
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(args) > 1 && name == "help" {
			return run([]string{args[1], "--help"}, stdout, stderr)
		}
		overview(stdout)
		return done
	case "--version", "-version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.call(args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "perseus-agent: no command %q: see perseus-agent help\n", name)
	return usage
}

func (c command) call(argv []string, stdout, stderr io.Writer) int {
	in := &invocation{FlagSet: flag.NewFlagSet(c.name, flag.ContinueOnError), cmd: c, argv: argv, stdout: stdout, stderr: stderr}
	in.SetOutput(io.Discard) // errors and help are ours to print
	err := c.run(in)
	switch {
	case err == nil:
		return done
	case errors.Is(err, flag.ErrHelp):
		in.help(stdout)
		return done
	}
	fmt.Fprintf(stderr, "perseus-agent %s: %v\n", c.name, err)
	var p *problem
	if errors.As(err, &p) {
		return p.code
	}
	var e *config.Errors
	if errors.As(err, &e) {
		return usage
	}
	return failed
}

// parse reads the flags; further arguments are allowed from least to most.
func (in *invocation) parse(least, most int) error {
	if err := in.Parse(in.argv); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return wrong("%v: see perseus-agent %s --help", err, in.cmd.name)
	}
	switch n := in.NArg(); {
	case n < least:
		return wrong("give %s: see perseus-agent %s --help", in.cmd.args, in.cmd.name)
	case n > most:
		return wrong("%q is not expected here: see perseus-agent %s --help", in.Arg(most), in.cmd.name)
	}
	return nil
}

func (in *invocation) help(w io.Writer) {
	fmt.Fprintf(w, "perseus-agent %s [flags] %s\n\n%s\n", in.cmd.name, in.cmd.args, strings.TrimSpace(in.cmd.long))
	first := true
	in.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprintf(w, "\nFlags:\n")
			first = false
		}
		name, text := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  --%s %s\n        %s", f.Name, name, text)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}

func overview(w io.Writer) {
	fmt.Fprint(w, "perseus-agent reads meters, makes half-hours, keeps them, and sends what a permission covers.\n\nCommands:\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\nperseus-agent help COMMAND says more. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.\n")
}

// configFlag adds --config.
func (in *invocation) configFlag() *string {
	return in.String("config", defaultConfig(), "configuration `FILE`")
}

// formatFlag adds --format.
func (in *invocation) formatFlag() *string {
	return in.String("format", "table", "`FORM` of the output: table, json or csv")
}

func checkFormat(f string) error {
	switch f {
	case "table", "json", "csv":
		return nil
	}
	return wrong("--format %s: use table, json or csv", f)
}
