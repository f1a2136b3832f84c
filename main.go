// Command px makes sure that no bad piece of patient feedback is ever dropped:
// it turns feedback into actions with an owner and a deadline, and reminds and
// escalates until each is closed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // zones must not depend on the container's files

	"github.com/alecthomas/kong"
)

// The exit codes: done, failed, not understood.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

// version is set by the linker in a release.
var version = ""

// commands is the command line. Settings stand beside the commands, because
// every process reads the same ones.
type commands struct {
	Settings `group:"Settings"`

	Migrate   migrateCmd   `cmd:"" help:"Bring the database's schema up to date."`
	Policy    policyCmd    `cmd:"" help:"Apply or export the policy: triggers, routing, SLA configs."`
	Directory directoryCmd `cmd:"" help:"Apply people and places."`
	SLA       slaCmd       `cmd:"" name:"sla" help:"Try the SLA clock on worked cases."`
	Key       keyCmd       `cmd:"" help:"Make, list, rotate and revoke API keys of source systems."`
	User      userCmd      `cmd:"" help:"Set a person's password for the pages, and end their sessions."`

	Producer  producerCmd  `cmd:"" help:"Take feedback in over HTTP."`
	Worker    workerCmd    `cmd:"" help:"Decide feedback, fire deadlines, deliver messages."`
	Scheduler schedulerCmd `cmd:"" help:"Sweep for what was lost or is late, and tick the housekeeping."`
	Web       webCmd       `cmd:"" help:"Serve the action API, the pages and the asynq dashboard."`
	Dev       devCmd       `cmd:"" help:"Run all processes in one, on private servers unless URLs are given."`
	Demo      demoCmd      `cmd:"" help:"Play five days of sample feedback with a fast clock."`

	Send     sendCmd     `cmd:"" help:"Send a file of feedback (NDJSON or CSV) to a producer."`
	Feedback feedbackCmd `cmd:"" help:"Look at feedback and replay what is quarantined."`
	Action   actionCmd   `cmd:"" help:"List, show and work actions."`
	Explain  explainCmd  `cmd:"" help:"Tell why an action or a feedback was decided as it was, and when it is due and why."`
	Hook     hookCmd     `cmd:"" help:"Make, list, pause and delete hooks: programs that are called with every change."`
	Events   eventsCmd   `cmd:"" help:"Look after the stream of changes."`
	Verify   verifyCmd   `cmd:"" help:"Check every invariant on the live system."`
	Audit    auditCmd    `cmd:"" help:"Prove that the log is as it was written."`
	Subject  subjectCmd  `cmd:"" help:"Write out what is held about a patient or visit."`
	Purge    purgeCmd    `cmd:"" help:"Erase the words about a patient or visit; the facts stay. It cannot be undone."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run parses the arguments and runs one command. It returns the exit code.
func run(ctx context.Context, args []string) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("px"), kong.UsageOnError(),
		kong.Description("No bad piece of patient feedback is ever dropped. Every setting is a flag and a PX_* variable; secrets are taken from the variable alone. Exit codes: 0 done, 1 failed or something was found, 2 the call or a setting is wrong."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, FlagsLast: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(&c.Settings))
	if err != nil {
		fmt.Fprintln(os.Stderr, "px:", err)
		return exitFail
	}
	parsed, err := parser.Parse(helpWord(args))
	if err == nil {
		err = errors.Join(secretsGiven(parsed), c.check(os.Environ()))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "px: %v\nTry px help.\n", err)
		return exitUsage
	}
	err = parsed.Run()
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFound): // already told, in full
	default:
		fmt.Fprintf(os.Stderr, "px: %v\n", err)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFail
}

// helpWord turns `px help [command]` into the flag that kong knows.
func helpWord(args []string) []string {
	if len(args) == 0 {
		return []string{"--help"}
	}
	if args[0] == "help" {
		return append(append([]string(nil), args[1:]...), "--help")
	}
	return args
}

// errFound ends a command that has told its findings: exit code 1, no more words.
var errFound = errors.New("found")

// usageError is a fault of how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

type versionCmd struct{}

// Run prints the version and what it was built with.
func (versionCmd) Run() error {
	fmt.Printf("px %s %s\n", built(), runtime.Version())
	return nil
}

// built is the version of a release, else what the build knows of itself.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}
