package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type policyCmd struct {
	Apply    policyApplyCmd    `cmd:"" help:"Tell what a policy would change, and make it the active revision."`
	Validate policyValidateCmd `cmd:"" help:"Tell every fault of a policy file, and what in it is likely not meant."`
	Test     policyTestCmd     `cmd:"" help:"Decide cases by a policy file; exit code 1 if any comes out otherwise."`
	Feeds    policyFeedsCmd    `cmd:"" help:"List the holiday feeds of the active policy, or fetch them now."`
	Diff     policyDiffCmd     `cmd:"" help:"Tell in what a policy file differs, and what it would do to open actions."`
	Schema   policySchemaCmd   `cmd:"" help:"Write the JSON Schema of a policy file, for editors."`
	Export   policyExportCmd   `cmd:"" help:"Write a revision as YAML."`
	History  policyHistoryCmd  `cmd:"" help:"List the revisions, newest first."`
	Rollback policyRollbackCmd `cmd:"" help:"Make an old revision's policy the active one, as a new revision."`
}

type policyApplyCmd struct {
	File string `short:"f" required:"" placeholder:"FILE" help:"The policy: a file, or a folder of them; - reads standard input."`
	By   string `placeholder:"WHO" help:"Who applies it, for the record; by default the login name."`
	Note string `placeholder:"TEXT" help:"Why, for the record."`

	ApplyTo string `enum:"new,open" default:"new" help:"new: actions that are open keep the SLA config they were made under; open: they are put under this policy, too. Cut off, the same command finishes it."`
}

// Run tells what changes, and applies the policy.
func (c policyApplyCmd) Run(ctx context.Context, s *Settings) error {
	files, p, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	return withStore(ctx, s, func(st *store.Store) error {
		if err := fetchFeeds(ctx, s, st, p); err != nil {
			return err
		}
		if err := printChange(ctx, st, p, 0, c.ApplyTo); err != nil {
			return faultsIn(c.File, sla.Locate(files, err))
		}
		revision, changed, err := st.ApplyPolicy(ctx, p, whoApplies(c.By), c.Note)
		if err != nil {
			return faultsIn(c.File, sla.Locate(files, err))
		}
		if changed {
			fmt.Printf("\nrevision %d is active: %d triggers, %d routing rules, %d SLA configs\n", revision, len(p.Triggers), len(p.Routing), len(p.SLA))
		} else {
			fmt.Printf("\nrevision %d is this policy already\n", revision)
		}
		if c.ApplyTo != "open" {
			return nil
		}
		quiet(s, zerolog.WarnLevel)
		// Without a queue: the scheduler arms the new jobs.
		e := engine.New(engine.Options{Store: st, Log: s.logger("policy")})
		defer e.Close()
		n, err := e.Reapply(ctx)
		fmt.Printf("%d open actions are under revision %d now\n", n, revision)
		return err
	})
}

type policyValidateCmd struct {
	File      string `short:"f" required:"" placeholder:"FILE" help:"The policy: a file, or a folder of them; - reads standard input."`
	Directory string `placeholder:"FILE" help:"People and places to check it with; by default those of PX_DATABASE_URL, if that is set."`
}

// Run tells faults (exit code 1), then warnings and the longest waits (exit code 0).
func (c policyValidateCmd) Run(ctx context.Context, s *Settings) error {
	src, err := readFiles(c.File)
	if err != nil {
		return err
	}
	dir, err := c.directory(ctx, s)
	if err != nil {
		return err
	}
	p, rules, err := sla.Inspect(src, dir)
	if err != nil {
		return faultsIn(c.File, err)
	}
	if err := saysSomething(c.File, src); err != nil {
		return err
	}
	filled, found, err := readFeedFiles(ctx, p, time.Now())
	if err != nil {
		return err
	}
	var lint sla.Lint
	if rules != nil {
		if filled != p { // again, with the dates of files
			if rules, err = sla.Prepare(filled, 0, dir); err != nil {
				return faultsIn(c.File, sla.Locate(src, err))
			}
		}
		lint = rules.Lint(filled, time.Now())
	}
	var warnings model.FieldErrors
	if errors.As(sla.Locate(src, append(found, lint.Warnings...).Err()), &warnings) {
		printAt(os.Stdout, c.File, "warning: ", warnings)
	}
	if rules == nil {
		fmt.Printf("%s: no faults of its own; to check it with people and places, give --directory or PX_DATABASE_URL\n", c.File)
		return nil
	}
	for _, w := range lint.Longest {
		fmt.Printf("%s: %s, %s, takes %s at most\n", w.Config, w.Severity, w.Target, sla.SpanText(w.Elapsed))
	}
	fmt.Printf("%s: no faults, %d warnings\n", c.File, len(warnings))
	return nil
}

// directory is nil where neither a file nor a database is named.
func (c policyValidateCmd) directory(ctx context.Context, s *Settings) (dir *sla.Directory, err error) {
	switch {
	case c.Directory != "":
		return readDirectory(c.Directory)
	case s.DatabaseURL != "":
		err = withStore(ctx, s, func(st *store.Store) error {
			dir, err = st.Directory(ctx)
			return err
		})
		return dir, err
	default:
		return nil, nil
	}
}

// readDirectory reads people and places from a file, or tells its faults.
func readDirectory(file string) (*sla.Directory, error) {
	src, err := readFile(file)
	if err != nil {
		return nil, err
	}
	doc, err := sla.ParseDirectory(src)
	if err != nil {
		return nil, faultsIn(file, err)
	}
	rows, err := doc.Rows(nil, uuid.New, time.Now())
	if err != nil {
		return nil, faultsIn(file, sla.Locate([]sla.File{{Text: src}}, err))
	}
	return sla.NewDirectory(0, rows.Hospitals, rows.Departments, rows.Users, rows.Surveys), nil
}

type policyHistoryCmd struct{}

// Run lists the revisions.
func (policyHistoryCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		revisions, err := st.Revisions(ctx)
		if err != nil {
			return err
		}
		var rows [][]any
		for _, r := range revisions {
			rows = append(rows, []any{r.Revision, r.CreatedAt.UTC().Format(time.RFC3339), r.CreatedBy,
				fmt.Sprintf("%d / %d / %d / %d", r.Calendars, r.Triggers, r.Routing, r.SLA), hex.EncodeToString(r.SHA256)[:12], r.Note})
		}
		return table("REVISION\tAPPLIED\tBY\tCALENDARS / TRIGGERS / ROUTING / SLA\tSHA-256\tNOTE", rows)
	})
}

type policyRollbackCmd struct {
	To   int64  `required:"" placeholder:"N" help:"The revision whose policy is to be active again."`
	By   string `placeholder:"WHO" help:"Who applies it, for the record; by default the login name."`
	Note string `placeholder:"TEXT" help:"Why, for the record."`
}

// Run applies the old policy; nothing is taken back, the revisions go on.
func (c policyRollbackCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		p, _, err := st.Policy(ctx, c.To)
		if err != nil {
			return err
		}
		revision, changed, err := st.ApplyPolicy(ctx, p, whoApplies(c.By), cmp.Or(c.Note, fmt.Sprintf("back to revision %d", c.To)))
		if err != nil {
			return err
		}
		if !changed {
			fmt.Printf("revision %d is this policy already\n", revision)
			return nil
		}
		fmt.Printf("revision %d is active: the policy of revision %d\n", revision, c.To)
		return nil
	})
}

type policyExportCmd struct {
	Revision int64 `placeholder:"N" help:"Which; by default the active one."`
}

// Run prints the revision.
func (c policyExportCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		p, _, err := st.Policy(ctx, c.Revision)
		if err != nil {
			return err
		}
		out, err := p.YAML()
		if err != nil {
			return fmt.Errorf("write the policy as YAML: %w", err)
		}
		_, err = os.Stdout.Write(out)
		return err
	})
}
