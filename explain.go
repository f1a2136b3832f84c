package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

type explainCmd struct {
	Ref      string `arg:"" optional:"" name:"action" help:"The action's reference, such as RUH-26-0004172, or its id."`
	Feedback string `placeholder:"ID" help:"Instead of an action: a feedback by its id, whatever became of it."`
	JSON     bool   `help:"One JSON object."`
}

// Run explains, without the patient's words.
func (c explainCmd) Run(ctx context.Context, s *Settings) error {
	if (c.Ref == "") == (c.Feedback == "") {
		return usagef("either an action or --feedback")
	}
	return withStore(ctx, s, func(st *store.Store) error {
		e, err := c.explain(ctx, st)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(e)
		}
		_, err = fmt.Print(e.Text())
		return err
	})
}

func (c explainCmd) explain(ctx context.Context, st *store.Store) (interface{ Text() string }, error) {
	if c.Feedback == "" {
		return engine.Explain(ctx, st, c.Ref)
	}
	id, err := model.ParseID[model.Feedback](c.Feedback)
	if err != nil {
		return nil, usagef("--feedback: not an id; px feedback show --source SYSTEM EVENT tells it")
	}
	return engine.ExplainFeedback(ctx, st, id)
}
