package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

type attachCmd struct {
	Ref         string `arg:"" help:"The action's reference or id."`
	File        string `arg:"" type:"existingfile" help:"The file."`
	As          string `required:"" placeholder:"USER" help:"Who adds it, by code."`
	Evidence    bool   `help:"It is evidence: it counts where the policy asks for some before submission."`
	Description string `placeholder:"TEXT" help:"What it shows."`
}

// Run adds the file.
func (c attachCmd) Run(ctx context.Context, s *Settings) (err error) {
	a, err := openCommand(ctx, s, "action")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	action, err := a.store.ActionByRef(ctx, c.Ref)
	if err != nil {
		return err
	}
	dir, err := a.store.Directory(ctx)
	if err != nil {
		return err
	}
	actor, err := userOf(dir, "--as", c.As)
	if err != nil {
		return err
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	row, err := a.engine.Attach(ctx, engine.AttachRequest{
		ActionID: action.ID, Actor: &actor, Filename: f.Name(), Description: c.Description, Evidence: c.Evidence,
	}, f)
	if err != nil {
		return err
	}
	fmt.Printf("%s has %s: %s, %d bytes, sha256 %x\n", action.Ref, row.Filename, row.FileType, row.FileSize, row.SHA256)
	return nil
}

type filesCmd struct {
	Ref string `arg:"" help:"The action's reference or id."`
}

// Run lists.
func (c filesCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		action, err := st.ActionByRef(ctx, c.Ref)
		if err != nil {
			return err
		}
		files, err := st.Attachments(ctx, action.ID)
		if err != nil {
			return err
		}
		dir, err := st.Directory(ctx)
		if err != nil {
			return err
		}
		rows := make([][]any, len(files))
		for i, f := range files {
			rows[i] = []any{f.ID, nameOf(&f), f.FileType, f.FileSize, evidence(&f), userCode(dir, f.UploadedBy), stamp(f.CreatedAt)}
		}
		return table("ID\tNAME\tTYPE\tBYTES\tEVIDENCE\tBY\tADDED", rows)
	})
}

func nameOf(f *model.ActionAttachment) string {
	if f.ErasedAt != nil {
		return "[erased]"
	}
	return f.Filename
}

func evidence(f *model.ActionAttachment) string {
	if f.IsEvidence {
		return "yes"
	}
	return "-"
}
