package demo

import (
	"bufio"
	"encoding/json"
	"io"
	"time"
)

// view shows a demo.
type view interface {
	begin(opening) error
	show(page) error
	end(summary) error
}

// stream is the view for programs: one JSON object per event, and last the
// summary.
type stream struct{ out *bufio.Writer }

func newStream(out io.Writer) *stream { return &stream{out: bufio.NewWriter(out)} }

func (*stream) begin(opening) error { return nil }

// record is an event as the stream writes it.
type record struct {
	At     time.Time `json:"at"` // domain time
	T      float64   `json:"t"`  // real seconds since the start
	Event  kind      `json:"event"`
	Ref    string    `json:"ref,omitempty"`
	Stage  int       `json:"stage,omitempty"`
	LateS  *int64    `json:"late_s,omitempty"` // domain seconds
	Done   string    `json:"done,omitempty"`
	To     []string  `json:"to,omitempty"`
	By     string    `json:"by,omitempty"`
	Source string    `json:"source,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

func (s *stream) show(p page) error {
	for i := range p.Events {
		e := &p.Events[i]
		r := record{
			At: e.At.UTC(), T: seconds(e.Ran), Event: e.Kind, Stage: e.Stage, LateS: e.LateS, Done: e.Done, To: e.To, By: e.By,
			Source: e.Source, Reason: e.Reason,
		}
		if e.action != nil {
			r.Ref = e.action.Ref
		}
		if err := s.write(r); err != nil {
			return err
		}
	}
	return s.out.Flush()
}

// totals is the summary as the stream writes it.
type totals struct {
	Feedback    int        `json:"feedback"`
	Ignored     int        `json:"ignored"`
	Merged      int        `json:"merged"`
	Quarantined int        `json:"quarantined"`
	Sent        int        `json:"sent"`
	Duplicates  int        `json:"duplicates"`
	Changed     int        `json:"changed"`
	Refused     int        `json:"refused"`
	Lost        int        `json:"lost"`
	Actions     int        `json:"actions"`
	AckMissed   int        `json:"ack_missed"`
	Reminders   int        `json:"reminders"`
	Overdue     int        `json:"overdue"`
	Escalations int        `json:"escalations"`
	ByLevel     levels     `json:"escalations_by_level"`
	Messages    int        `json:"messages"`
	Closed      int        `json:"closed"`
	Late        lateTotals `json:"lateness_s"`
	Violations  int64      `json:"violations"`
}

type levels struct {
	One   int `json:"1"`
	Two   int `json:"2"`
	Three int `json:"3"`
}

// lateTotals is in real seconds.
type lateTotals struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func (s *stream) end(sum summary) error {
	t := totals{
		Feedback: sum.Feedback, Ignored: sum.Ignored, Merged: sum.Merged, Quarantined: sum.Quarantined, Sent: sum.Sent, Duplicates: sum.Duplicates,
		Changed: sum.Changed, Refused: sum.Refused, Lost: sum.Lost, Actions: sum.Actions, AckMissed: sum.AckMissed, Reminders: sum.Reminders,
		Overdue: sum.Overdues, Escalations: sum.Escalations, ByLevel: levels{sum.Stage1, sum.Stage2, sum.Stage3},
		Messages: sum.Messages, Closed: sum.Closed, Violations: sum.Violations,
		Late: lateTotals{seconds(sum.Late.P50), seconds(sum.Late.P99), seconds(sum.Late.Max)},
	}
	if err := s.write(map[string]totals{"summary": t}); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *stream) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.out.Write(append(b, '\n'))
	return err
}

// seconds is d in seconds, to the millisecond.
func seconds(d time.Duration) float64 {
	return float64(d.Round(time.Millisecond)) / float64(time.Second)
}
