package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
)

type hookCmd struct {
	Create hookCreateCmd `cmd:"" help:"Make a hook; the secret that signs its calls is shown once."`
	List   hookListCmd   `cmd:"" help:"List hooks, and how they do."`
	Test   hookTestCmd   `cmd:"" help:"Call a hook once, without changes."`
	Pause  hookPauseCmd  `cmd:"" help:"Call a hook no more until it is resumed."`
	Resume hookResumeCmd `cmd:"" help:"Go on where the hook stood, at once."`
	Delete hookDeleteCmd `cmd:"" help:"End a hook for good."`
}

type hookCreateCmd struct {
	Name         string   `required:"" placeholder:"NAME" help:"How it is called here and in metrics: a-z, 0-9, - and _."`
	URL          string   `required:"" name:"url" placeholder:"URL" help:"Where changes are sent."`
	Hospital     []string `placeholder:"CODE" help:"Only changes in these hospitals; by default all."`
	SourceSystem string   `placeholder:"SYSTEM" help:"Only changes of actions whose first feedback came from there; by default all."`
	Restricted   bool     `help:"Changes of restricted actions, too."`
	By           string   `placeholder:"NAME" help:"Who makes it, for the record; by default who runs the command."`
}

// Run makes the hook.
func (c hookCreateCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		dir, err := st.Directory(ctx)
		if err != nil {
			return err
		}
		h := model.Hook{
			Name: c.Name, URL: c.URL, SourceSystem: c.SourceSystem, IncludeRestricted: c.Restricted, CreatedBy: whoApplies(c.By),
		}
		for _, code := range c.Hospital {
			place, ok := dir.ResolveHospital("", code)
			if !ok {
				return usagef("--hospital: no hospital has the code %q", code)
			}
			h.Hospitals.V = append(h.Hospitals.V, place.ID)
		}
		if err := st.CreateHook(ctx, &h); err != nil {
			var faults model.FieldErrors
			if errors.As(err, &faults) {
				return usagef("%w", err)
			}
			return err
		}
		fmt.Println(h.Secret)
		return nil
	})
}

type hookListCmd struct{}

// Run lists hooks, never their secrets.
func (hookListCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		hooks, err := st.Hooks(ctx)
		if err != nil {
			return err
		}
		rows := make([][]any, len(hooks))
		for i, h := range hooks {
			state := "active"
			switch {
			case !h.Active:
				state = "paused"
			case h.Failures > 0:
				state = "fails"
			}
			rows[i] = []any{h.Name, state, h.Failures, orDash(h.LastError), stampOr(h.LastOKAt, "never"), stampOr(h.NextTryAt, "-"), orDash(h.SourceSystem), h.URL}
		}
		return table("HOOK\tSTATE\tFAILURES\tLAST ERROR\tLAST TAKEN\tNEXT TRY\tSOURCE\tURL", rows)
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// hookName is the argument of what is done to one hook.
type hookName struct {
	Name string `arg:"" help:"The hook."`
}

// do runs fn on the hook and says what became of it.
func (c hookName) do(ctx context.Context, s *Settings, fn func(*store.Store) error, became string) error {
	return withStore(ctx, s, func(st *store.Store) error {
		err := fn(st)
		if errors.Is(err, model.ErrNotFound) {
			return fmt.Errorf("no hook is called %s", c.Name)
		}
		if err == nil {
			fmt.Println(c.Name, became)
		}
		return err
	})
}

type hookTestCmd struct{ hookName }

// Run calls the hook from here.
func (c hookTestCmd) Run(ctx context.Context, s *Settings) error {
	return c.do(ctx, s, func(st *store.Store) error {
		h, err := st.HookByName(ctx, c.Name)
		if err != nil {
			return err
		}
		a := &app{settings: s, log: s.logger("hook"), store: st}
		if err := a.openEngine(nil); err != nil {
			return err
		}
		defer a.engine.Close()
		err = a.engine.TestHook(ctx, h)
		var se *notify.SendError
		if errors.As(err, &se) {
			return fmt.Errorf("%s did not take the call: %s", c.Name, se.Code)
		}
		return err
	}, "took the call")
}

type hookPauseCmd struct{ hookName }

// Run pauses the hook.
func (c hookPauseCmd) Run(ctx context.Context, s *Settings) error {
	return c.do(ctx, s, func(st *store.Store) error { return st.ActivateHook(ctx, c.Name, false) }, "is paused")
}

type hookResumeCmd struct{ hookName }

// Run lets the hook go on.
func (c hookResumeCmd) Run(ctx context.Context, s *Settings) error {
	return c.do(ctx, s, func(st *store.Store) error { return st.ActivateHook(ctx, c.Name, true) }, "goes on")
}

type hookDeleteCmd struct{ hookName }

// Run ends the hook.
func (c hookDeleteCmd) Run(ctx context.Context, s *Settings) error {
	return c.do(ctx, s, func(st *store.Store) error { return st.DeleteHook(ctx, c.Name) }, "is deleted")
}

type eventsCmd struct {
	Restart eventsRestartCmd `cmd:"" help:"After a restore of the database, before any other process: begin the stream of changes anew."`
}

type eventsRestartCmd struct {
	Yes bool `help:"Do it: whoever follows changes has to start again."`
}

// Run begins the stream anew.
func (c eventsRestartCmd) Run(ctx context.Context, s *Settings) error {
	if !c.Yes {
		return usagef("px events restart makes every program that follows changes start again; say --yes")
	}
	return withStore(ctx, s, func(st *store.Store) error {
		r, err := st.RestartStream(ctx)
		if err == nil {
			fmt.Printf("the stream begins anew: %d hooks go on where they stood; of the log rows written in another cluster %d are kept for them, %d are left out\n", r.Hooks, r.Kept, r.Dropped)
		}
		return err
	})
}
