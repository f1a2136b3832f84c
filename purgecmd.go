package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type subjectCmd struct {
	Export subjectExportCmd `cmd:"" help:"Write every row that is held about a patient or visit as NDJSON: feedback with its earlier revisions, actions, their logs with all words, and the list of their files."`
}

type subjectExportCmd struct {
	ID string `arg:"" help:"The number of the patient or visit, as the source systems send it; - reads it from standard input."`
}

// Run writes the rows, table by table.
func (c subjectExportCmd) Run(ctx context.Context, s *Settings) error {
	return withSubject(ctx, s, c.ID, func(e *engine.Engine, id string) error {
		out := bufio.NewWriter(os.Stdout)
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		if err := e.ExportSubject(ctx, id, func(r store.SubjectRow) error { return enc.Encode(r) }); err != nil {
			return err
		}
		return out.Flush()
	})
}

type purgeCmd struct {
	Subject string `required:"" placeholder:"ID" help:"The number of the patient or visit, as the source systems send it; - reads it from standard input."`
}

// Run erases, and names what it left.
func (c purgeCmd) Run(ctx context.Context, s *Settings) error {
	return withSubject(ctx, s, c.Subject, func(e *engine.Engine, id string) error {
		done, err := e.Purge(ctx, id)
		if err != nil {
			return err
		}
		fmt.Printf("erased the words of %d actions and %d feedback, and %d files\n", done.Actions, done.Feedback, done.Files)
		if done.FilesLeft > 0 {
			fmt.Printf("left to the sweep of files, within an hour or two: %d files that could not be deleted now\n", done.FilesLeft)
		}
		for _, l := range done.Left {
			fmt.Printf("left alone: %s: %s\n", l.What, l.Why)
		}
		if len(done.Left)+done.FilesLeft > 0 {
			return errFound
		}
		return nil
	})
}

// withSubject runs fn with what the database and the storage of files hold, and the
// number of a patient or visit.
func withSubject(ctx context.Context, s *Settings, id string, fn func(*engine.Engine, string) error) error {
	if s.SubjectKey == "" {
		return usagef("PX_SUBJECT_KEY: needed, the same as in every producer: a subject is known by its hash alone")
	}
	if id == "-" {
		line, err := firstLine(os.Stdin)
		if err != nil {
			return err
		}
		id = line
	}
	if strings.TrimSpace(id) == "" {
		return usagef("the number of a patient or visit is needed, not blank")
	}
	quiet(s, zerolog.WarnLevel)
	return withStore(ctx, s, func(st *store.Store) (err error) {
		kept, err := files.New(s.FilesURL)
		if err != nil {
			return usagef("PX_FILES_URL: %w", err)
		}
		defer func() { err = errors.Join(err, kept.Close()) }()
		e := engine.New(engine.Options{Store: st, Files: kept, Log: s.logger("subject"), SubjectKey: []byte(s.SubjectKey)})
		defer e.Close()
		return fn(e, id)
	})
}

type legalHoldCmd struct {
	Ref    string `arg:"" help:"The action's reference or id."`
	On     bool   `xor:"on" required:"" help:"From now on nothing of it is erased, by retention or on request."`
	Off    bool   `xor:"on" required:"" help:"It may be erased again."`
	As     string `placeholder:"USER" help:"Who does it, by code: a PX Admin. Left out: whoever runs this, without a name."`
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
}

// Run sets or lifts the hold.
func (c legalHoldCmd) Run(ctx context.Context, s *Settings) (err error) {
	a, err := openCommand(ctx, s, "action")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	row, err := a.store.ActionByRef(ctx, c.Ref)
	if err != nil {
		return err
	}
	m := sla.MoveRequest{Reason: c.Reason}
	if c.As != "" {
		dir, err := a.store.Directory(ctx)
		if err != nil {
			return err
		}
		actor, err := userOf(dir, "--as", c.As)
		if err != nil {
			return err
		}
		m.Actor = &actor
	}
	after, err := a.engine.LegalHold(ctx, row.ID, c.On, m)
	if err != nil {
		return err
	}
	if after.LegalHoldAt != nil {
		fmt.Printf("%s is under legal hold since %s\n", after.Ref, stamp(*after.LegalHoldAt))
		return nil
	}
	fmt.Printf("%s is under no legal hold any more\n", after.Ref)
	return nil
}
