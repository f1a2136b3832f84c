package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type actionShowCmd struct {
	Ref  string `arg:"" help:"The action's reference, such as RUH-26-0004172, or its id."`
	JSON bool   `help:"One JSON object."`
}

// Run shows, with the words of patients and staff: who has the database's URL
// may read them.
func (c actionShowCmd) Run(ctx context.Context, s *Settings) error {
	return withStore(ctx, s, func(st *store.Store) error {
		a, err := st.ActionByRef(ctx, c.Ref)
		if err != nil {
			return fmt.Errorf("action %s: %w", c.Ref, err)
		}
		story, err := st.Story(ctx, a.ID, store.StoryOptions{Words: true})
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(os.Stdout).Encode(storyJSON(&story))
		}
		return printStory(&story)
	})
}

// storyJSON is an action's story with its words.
func storyJSON(y *store.Story) map[string]any {
	a := &y.Action
	out := actionJSON(a, y.Dir)
	out["events"], out["upcoming"] = y.Events, y.Upcoming
	for name, words := range map[string]string{
		"title": a.Title, "text": a.Description, "action_plan": a.ActionPlan, "outcome": a.Outcome, "root_cause": a.RootCause,
	} {
		if words != "" {
			out[name] = words
		}
	}
	if told := informedJSON(a, y.Dir); told != nil {
		out["complainant_informed"] = told
	}
	logs := make([]map[string]any, len(y.Logs))
	for i, l := range y.Logs {
		logs[i] = map[string]any{"seq": l.Seq, "at": l.CreatedAt, "type": l.LogType, "by": userCode(y.Dir, l.CreatedBy), "message": l.Message}
		if l.Text != "" {
			logs[i]["text"] = l.Text
		}
	}
	out["log"] = logs
	feedback := make([]map[string]any, len(y.Feedback))
	for i, f := range y.Feedback {
		feedback[i] = map[string]any{
			"id": f.ID, "source_system": f.SourceSystem, "event_id": f.EventID, "received_at": f.ReceivedAt, "title": f.Title, "text": f.Text,
		}
	}
	out["feedback"] = feedback
	linked := make([]string, len(y.Linked))
	for i, l := range y.Linked {
		linked[i] = l.Ref
	}
	out["linked"] = linked
	return out
}

// informedJSON says whether the complainant was told; nil: nobody has said.
func informedJSON(a *model.Action, dir *sla.Directory) map[string]any {
	switch {
	case a.InformedAt != nil:
		return map[string]any{"at": *a.InformedAt, "how": a.InformedHow, "by": userCode(dir, a.InformedBy)}
	case a.NotInformed != "":
		return map[string]any{"why_not": a.NotInformed}
	}
	return nil
}

func printStory(y *store.Story) error {
	a := &y.Action
	fmt.Printf("%s  %s, %s, %s; %s\n", a.Ref, a.Status, a.Severity, a.Category, mark(a))
	fmt.Printf("owner %s, received %s, due %s\n", userCode(y.Dir, a.AssignedTo), stamp(a.ReceivedAt), stamp(a.DueAt))
	printKept(a)
	printWords("title", a.Title)
	printWords("text", a.Description)
	for _, f := range y.Feedback {
		if a.FeedbackID == nil || f.ID != *a.FeedbackID { // the words of that one are the action's own
			printWords("also", strings.TrimSpace(f.Title+"\n"+f.Text))
		}
	}
	for _, l := range y.Linked {
		fmt.Printf("linked: %s, %s\n", l.Ref, l.Status)
	}
	printWords("plan", a.ActionPlan)
	printWords("outcome", a.Outcome)
	printWords("root cause", a.RootCause)
	if a.InformedAt != nil {
		fmt.Printf("complainant informed %s, %s, by %s\n", stamp(*a.InformedAt), a.InformedHow, userCode(y.Dir, a.InformedBy))
	}
	printWords("complainant not informed", a.NotInformed)
	if a.ApprovalDueAt != nil {
		fmt.Printf("submitted by %s, approval due %s\n", userCode(y.Dir, a.SubmittedBy), stamp(*a.ApprovalDueAt))
	}
	fmt.Println()
	rows := make([][]any, 0, len(y.Logs))
	for _, l := range y.Logs {
		rows = append(rows, []any{stamp(l.CreatedAt), l.LogType, userCode(y.Dir, l.CreatedBy), l.Message + quoted(l.Text)})
	}
	if err := table("WHEN\tWHAT\tWHO\tFACTS", rows); err != nil {
		return err
	}
	fmt.Println()
	if len(y.Upcoming) == 0 {
		fmt.Println("nothing more is planned")
		return nil
	}
	rows = rows[:0]
	for _, e := range y.Upcoming {
		rows = append(rows, []any{stamp(e.At), e.Kind, e.Stage})
	}
	return table("NEXT\tKIND\tSTAGE", rows)
}

// printKept tells what must not be erased, and what was.
func printKept(a *model.Action) {
	for _, k := range []struct {
		what string
		at   *time.Time
	}{{"under legal hold since", a.LegalHoldAt}, {"words erased", a.ErasedAt}, {"messages dropped", a.MessagesDroppedAt}} {
		if k.at != nil {
			fmt.Printf("%s %s\n", k.what, stamp(*k.at))
		}
	}
}

// printWords prints what somebody wrote under its name, and nothing for nothing.
func printWords(name, words string) {
	if words = printable(words); words != "" {
		fmt.Printf("%s: %s\n", name, strings.ReplaceAll(words, "\n", "\n  "))
	}
}

// quoted is what somebody wrote, behind a fact and on one line.
func quoted(words string) string {
	if words = strings.Join(strings.Fields(printable(words)), " "); words == "" {
		return ""
	}
	return ": “" + words + "”"
}

// printable keeps what somebody wrote from steering the terminal.
func printable(words string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, words))
}
