package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type feedbackCmd struct {
	Show        feedbackShowCmd        `cmd:"" help:"Show what was decided about one feedback, and why."`
	Quarantined feedbackQuarantinedCmd `cmd:"" help:"List what could not be read, mapped or decided."`
	Unmerge     feedbackUnmergeCmd     `cmd:"" help:"Take feedback out of the action that it joined: it becomes one of its own."`
	Replay      feedbackReplayCmd      `cmd:"" help:"Read quarantined feedback again, once the alias is fixed."`
}

type feedbackShowCmd struct {
	ID     string `arg:"" help:"The feedback's id, or with --source its event id."`
	Source string `placeholder:"SYSTEM" help:"The source system of the event id."`
}

// Run shows the decision, never the patient's words.
func (c feedbackShowCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		f, err := c.find(ctx, st)
		if err != nil {
			return fmt.Errorf("feedback %s: %w", c.ID, err)
		}
		decision := string(f.Decision)
		if decision == "" {
			decision = "undecided"
		}
		fmt.Printf("%s  %s/%s  received %s\n%s: %s\n", f.ID, f.SourceSystem, f.EventID, stamp(f.ReceivedAt), decision, f.Reason)
		if names := unmappedNames(f); names != "" {
			fmt.Println("sent:", names)
		}
		if f.ActionID != nil {
			a, err := st.ActionByRef(ctx, f.ActionID.String())
			if err != nil {
				return err
			}
			fmt.Printf("action %s is %s\n", a.Ref, a.Status)
		}
		return nil
	})
}

func (c feedbackShowCmd) find(ctx context.Context, st *store.Store) (*model.Feedback, error) {
	if c.Source != "" {
		return st.FeedbackByEvent(ctx, c.Source, c.ID)
	}
	id, err := model.ParseID[model.Feedback](c.ID)
	if err != nil {
		return nil, usagef("not an id; an event id needs --source")
	}
	return st.Feedback(ctx, id)
}

type feedbackUnmergeCmd struct {
	ID     string `arg:"" help:"The feedback's id, or with --source its event id."`
	Source string `placeholder:"SYSTEM" help:"The source system of the event id."`
	As     string `required:"" placeholder:"USER" help:"Who does it, by code."`
	Reason string `required:"" placeholder:"TEXT" help:"Why it does not belong there."`
}

// Run takes it out.
func (c feedbackUnmergeCmd) Run(ctx context.Context, s *Settings) (err error) {
	a, err := openCommand(ctx, s, "feedback unmerge")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	f, err := feedbackShowCmd{c.ID, c.Source}.find(ctx, a.store)
	if err != nil {
		return fmt.Errorf("feedback %s: %w", c.ID, err)
	}
	dir, err := a.store.Directory(ctx)
	if err != nil {
		return err
	}
	actor, err := userOf(dir, "--as", c.As)
	if err != nil {
		return err
	}
	done, err := a.engine.Unmerge(ctx, f.ID, sla.MoveRequest{Actor: &actor, Reason: c.Reason})
	if err != nil {
		return err
	}
	fmt.Printf("taken out of %s; it is %s now: next %s\n", done.From.Ref, done.Action.Ref, nextOf(&done.Action))
	return nil
}

type feedbackQuarantinedCmd struct {
	Source string `placeholder:"SYSTEM" help:"Only of this source system."`
	Limit  int    `default:"50" help:"At most this many."`
}

// Run lists.
func (c feedbackQuarantinedCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		rows, err := st.Quarantined(ctx, store.QuarantineFilter{SourceSystem: c.Source, Limit: c.Limit})
		if err != nil {
			return err
		}
		cells := make([][]any, len(rows))
		for i, f := range rows {
			cells[i] = []any{f.ID, f.SourceSystem, f.EventID, stamp(f.CreatedAt), f.Reason, unmappedNames(&f)}
		}
		return table("ID\tSOURCE\tEVENT\tACCEPTED\tREASON\tSENT", cells)
	})
}

// unmappedNames is what the source system calls the places, surveys and staff
// that the reason tells of: the names to give an alias to.
func unmappedNames(f *model.Feedback) string {
	var names []string
	for _, n := range engine.UnmappedNames(f) {
		names = append(names, fmt.Sprintf("%s %q", n.Field, n.Name))
	}
	return strings.Join(names, ", ")
}

type feedbackReplayCmd struct {
	Source string `placeholder:"SYSTEM" help:"Only of this source system."`
	Limit  int    `help:"At most this many; 0: all."`
}

// Run replays.
func (c feedbackReplayCmd) Run(ctx context.Context, s *Settings) (err error) {
	if err := s.needed("feedback replay", true); err != nil {
		return err
	}
	a, err := openCommand(ctx, s, "feedback replay")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	r, err := a.engine.Replay(ctx, store.QuarantineFilter{SourceSystem: c.Source, Limit: c.Limit})
	fmt.Printf("%d looked at: %d requeued, %d still quarantined, %d failed\n", r.Seen, r.Requeued, r.Still, r.Failed)
	for _, reason := range slices.Sorted(maps.Keys(r.Reasons)) {
		fmt.Printf("  %d  %s\n", r.Reasons[reason], reason)
	}
	if err == nil && r.Failed > 0 {
		return errFound
	}
	return err
}

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make a key; it is shown once."`
	List   keyListCmd   `cmd:"" help:"List keys."`
	Rotate keyRotateCmd `cmd:"" help:"Make a successor of a key, which is shown once; the old one works for a while yet."`
	Revoke keyRevokeCmd `cmd:"" help:"Revoke a key."`
}

type keyCreateCmd struct {
	Source     string        `required:"" placeholder:"SYSTEM" help:"The source system that sends with it."`
	Name       string        `placeholder:"NAME" help:"What it is for; by default the source system."`
	Hospital   []string      `placeholder:"CODE" help:"Only these hospitals; by default all."`
	Scope      []string      `placeholder:"SCOPE" default:"feedback:write,feedback:read" help:"What it may be used for: feedback:write, feedback:read, actions:read, actions:write, events:read, directory:write, on-behalf-of (to name the person who acts)."`
	OnUnmapped string        `enum:"reject,quarantine" default:"reject" help:"What becomes of feedback that cannot be read or mapped: reject or quarantine."`
	Expires    time.Duration `placeholder:"TIME" help:"When it expires, from now, such as 8760h; by default never."`
}

// Run makes the key.
func (c keyCreateCmd) Run(ctx context.Context, s *Settings) error {
	if i := slices.IndexFunc(c.Scope, func(sc string) bool { return !slices.Contains(store.Scopes(), sc) }); i >= 0 {
		return usagef("--scope: %q is none; one of %s", c.Scope[i], strings.Join(store.Scopes(), ", "))
	}
	if strings.TrimSpace(c.Source) == "" {
		return usagef("--source: the name of the sending system, not blank")
	}
	return withStore(ctx, s, func(st *store.Store) error {
		dir, err := st.Directory(ctx)
		if err != nil {
			return err
		}
		k := model.APIKey{
			Name: c.Name, SourceSystem: c.Source, Scopes: model.Of(c.Scope), OnUnmapped: model.OnUnmapped(c.OnUnmapped),
			Hospitals: model.Of([]model.HospitalID{}),
		}
		if strings.TrimSpace(k.Name) == "" {
			k.Name = c.Source
		}
		for _, code := range c.Hospital {
			h, ok := dir.ResolveHospital("", code)
			if !ok {
				return usagef("--hospital: no hospital has the code %q", code)
			}
			k.Hospitals.V = append(k.Hospitals.V, h.ID)
		}
		if c.Expires > 0 {
			now, err := st.Now(ctx)
			if err != nil {
				return err
			}
			at := now.Machine.Add(c.Expires)
			k.ExpiresAt = &at
		}
		secret, err := st.CreateKey(ctx, &k)
		if err != nil {
			return err
		}
		fmt.Println(secret)
		return nil
	})
}

type keyListCmd struct{}

// Run lists keys, never the keys themselves.
func (keyListCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		keys, err := st.ListKeys(ctx)
		if err != nil {
			return err
		}
		rows := make([][]any, len(keys))
		for i, k := range keys {
			rows[i] = []any{k.Prefix, k.Name, k.SourceSystem, strings.Join(k.Scopes.V, ","), k.OnUnmapped, stampOr(k.ExpiresAt, "never"), stampOr(k.LastUsedAt, "never"), stampOr(k.RevokedAt, "-")}
		}
		return table("KEY\tNAME\tSOURCE\tSCOPES\tON UNMAPPED\tEXPIRES\tLAST USED\tREVOKED", rows)
	})
}

type keyRotateCmd struct {
	Key     string        `arg:"" help:"Its id, or its first characters as px key list shows them."`
	Overlap time.Duration `default:"24h" help:"How long the old one works yet."`
}

// Run rotates.
func (c keyRotateCmd) Run(ctx context.Context, s *Settings) error {
	if c.Overlap < 0 {
		return usagef("--overlap: not below 0")
	}
	return withStore(ctx, s, func(st *store.Store) error {
		old, _, secret, err := st.RotateKey(ctx, c.Key, c.Overlap)
		if err != nil {
			return fmt.Errorf("key %s: %w", c.Key, err)
		}
		fmt.Fprintf(os.Stderr, "%s… of %s works until %s; its successor:\n", old.Prefix, old.SourceSystem, stamp(*old.ExpiresAt))
		fmt.Println(secret)
		return nil
	})
}

type keyRevokeCmd struct {
	Key string `arg:"" help:"Its id, or its first characters as px key list shows them."`
}

// Run revokes.
func (c keyRevokeCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		k, err := st.RevokeKey(ctx, c.Key)
		if err != nil {
			return fmt.Errorf("key %s: %w", c.Key, err)
		}
		fmt.Printf("%s… of %s is revoked\n", k.Prefix, k.SourceSystem)
		return nil
	})
}

func stampOr(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return stamp(*t)
}
