// Package metrics holds what every process counts. Names are
// px_<noun>_<unit>_<total|…>; labels are codes, never words of people.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is the set of counters of one process, on a registry of its own.
type Metrics struct {
	Registry *prometheus.Registry

	Tasks           *prometheus.CounterVec   // by type, outcome
	TaskSeconds     *prometheus.HistogramVec // by type
	LatenessSeconds *prometheus.HistogramVec // by kind; machine seconds from planned to fired
	Decisions       *prometheus.CounterVec   // by decision, reason
	DecisionSeconds prometheus.Histogram     // machine seconds from accepted to decided
	Intake          *prometheus.CounterVec   // by result: accepted, duplicate, quarantined, error
	Shed            *prometheus.CounterVec   // by reason: rate, requests, bytes
	Moves           *prometheus.CounterVec   // by move, outcome
	Messages        *prometheus.CounterVec   // by channel, outcome
	Healed          *prometheus.CounterVec   // by sweep
	Violations      *prometheus.CounterVec   // by invariant; rows that the daily verify found
	Feeds           *prometheus.CounterVec   // by outcome: unchanged, changed, failed, stale
	Files           *prometheus.CounterVec   // by outcome: stored, refused, orphan, missing
	HookCalls       *prometheus.CounterVec   // by hook, outcome: taken, failed
	HookFailures    *prometheus.GaugeVec     // by hook; tries that failed since the last that was taken
	HookLag         *prometheus.GaugeVec     // by hook; seconds (domain time) since the oldest change that it has not taken
	NoOwner         prometheus.Counter       // actions that found nobody to own them
	Untargeted      prometheus.Counter       // stages that found nobody but the assignee
	EnqueueFailures prometheus.Counter       // effects the queue did not take; the sweep does them
}

// New makes the set, with the runtime's own metrics beside it.
func New() *Metrics {
	m := &Metrics{
		Registry:        prometheus.NewRegistry(),
		Tasks:           counters("px_tasks_total", "Tasks handled.", "type", "outcome"),
		TaskSeconds:     histogram("px_task_duration_seconds", "Time in a task's handler.", prometheus.DefBuckets, "type"),
		LatenessSeconds: histogram("px_deadline_lateness_seconds", "Machine time from an event's planned instant to its taking.", []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 3600}, "kind"),
		Decisions:       counters("px_decisions_total", "Feedback decided.", "decision", "reason"),
		DecisionSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "px_decision_delay_seconds", Help: "Machine time from a feedback's acceptance, or its last failed try, to its decision.", Buckets: []float64{.05, .1, .5, 1, 5, 30, 300, 3600}}),
		Intake:          counters("px_intake_total", "Feedback answered by the intake.", "result"),
		Shed:            counters("px_requests_shed_total", "Requests refused to keep the process up: over a key's rate, or more than it takes at the same time.", "reason"),
		Moves:           counters("px_moves_total", "Moves on actions.", "move", "outcome"),
		Messages:        counters("px_messages_total", "Deliveries of messages.", "channel", "outcome"),
		Healed:          counters("px_healed_total", "Work that a sweep did because nobody had.", "sweep"),
		Violations:      counters("px_violations_total", "Rows that break an invariant, as the daily verify found them.", "invariant"),
		Feeds:           counters("px_feed_refreshes_total", "Holiday feeds asked.", "outcome"),
		Files:           counters("px_files_total", "Files of actions: stored, refused, taken away because no attachment knows them, or missing although one does.", "outcome"),
		HookCalls:       counters("px_hook_calls_total", "Calls of hooks with changes.", "hook", "outcome"),
		HookFailures:    gauges("px_hook_failures", "Calls of the hook that failed since the last that was taken.", "hook"),
		HookLag:         gauges("px_hook_lag_seconds", "Age of the oldest change that the hook has not taken, in domain time.", "hook"),
		NoOwner:         prometheus.NewCounter(prometheus.CounterOpts{Name: "px_actions_without_owner_total", Help: "Actions that found nobody to own them."}),
		Untargeted:      prometheus.NewCounter(prometheus.CounterOpts{Name: "px_stages_untargeted_total", Help: "Escalation stages that found nobody but the assignee."}),
		EnqueueFailures: prometheus.NewCounter(prometheus.CounterOpts{Name: "px_enqueue_failures_total", Help: "Effects that the queue did not take; a sweep does them later."}),
	}
	m.Registry.MustRegister(
		m.Tasks, m.TaskSeconds, m.LatenessSeconds, m.Decisions, m.DecisionSeconds, m.Intake, m.Shed, m.Moves, m.Messages,
		m.Healed, m.Violations, m.Feeds, m.Files, m.HookCalls, m.HookFailures, m.HookLag, m.NoOwner, m.Untargeted, m.EnqueueFailures,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}
