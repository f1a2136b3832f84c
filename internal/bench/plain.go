package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

const (
	// plainConcurrency is what an asynq program would be given: several times
	// the CPUs, because handlers wait for the database.
	plainConcurrency = 64
	// plainPool is the number of connections; with 8 and 16 it was slower.
	plainPool = 32
)

// plain is the same work as one would write it with asynq and a database: one
// task per feedback, one transaction per task, then its jobs one by one through
// an ordinary client. It is spared what px must do and it can do without: it
// takes the time from its own clock, compiles the rules once and knows
// everybody's load by heart.
type plain struct {
	store  *store.Store // for the intake and for firing
	db     *bun.DB
	client *asynq.Client
	server *asynq.Server
	intake *engine.Engine

	rules *sla.Rules
	codes map[model.HospitalID]string

	mu    sync.Mutex
	loads sla.Loads
}

func newPlain(w *world) (*plain, error) {
	p := &plain{loads: sla.Loads{}}
	opt, err := redis.ParseURL(w.redisURL)
	if err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(w.databaseURL)
	if err != nil {
		return nil, err
	}
	if p.store, err = store.Open(w.databaseURL, store.Options{PoolSize: plainPool}); err != nil {
		return nil, err
	}
	// As in px: bun writes arguments into the text.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(plainPool)
	pool.SetMaxIdleConns(plainPool)
	p.db = bun.NewDB(pool, pgdialect.New())
	conn := asynq.RedisClientOpt{Network: opt.Network, Addr: opt.Addr, Username: opt.Username, Password: opt.Password, DB: opt.DB, PoolSize: plainConcurrency}
	p.client = asynq.NewClient(conn)
	p.server = asynq.NewServer(conn, asynq.Config{
		Concurrency: plainConcurrency, LogLevel: asynq.FatalLevel,
		Queues: map[string]int{tasks.QueueEscalation: 3, tasks.QueueReminder: 2, tasks.QueueIntake: 1},
	})
	if p.intake, err = newEngine(p.store, (*plainQueue)(p), metrics.New(), zerolog.New(io.Discard)); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// plainQueue enqueues effects one command at a time.
type plainQueue plain

// Enqueue implements engine.Queue.
func (q *plainQueue) Enqueue(ctx context.Context, e tasks.Effects) ([]tasks.Arm, error) {
	for _, id := range e.Create {
		one := []model.FeedbackID{id}
		if err := q.enqueue(ctx, tasks.TypeCreate, tasks.QueueIntake, tasks.CreateID(one), time.Time{}, tasks.CreatePayload{Feedback: one}); err != nil {
			return nil, err
		}
	}
	for i, a := range e.Arm {
		err := q.enqueue(ctx, tasks.TypeOf(a.Kind), tasks.QueueOf(a.Kind), a.ID(), a.At, tasks.DeadlinePayload{Action: a.ActionID, Gen: a.Gen})
		if err != nil {
			return e.Arm[:i], err
		}
	}
	for _, s := range e.Send {
		if err := q.enqueue(ctx, tasks.TypeSend, tasks.QueueMessage, s.ID(), s.At, tasks.SendPayload{Message: s.MessageID, Attempt: s.Attempt}); err != nil {
			return e.Arm, err
		}
	}
	return e.Arm, nil
}

func (q *plainQueue) enqueue(ctx context.Context, typ, queue, id string, at time.Time, payload any) error {
	b, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	_, err = q.client.EnqueueContext(ctx, asynq.NewTask(typ, b), asynq.TaskID(id), asynq.Queue(queue), asynq.ProcessAt(at), asynq.MaxRetry(tasks.MaxRetry))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// accept uses the same intake as px, one event a call.
func (p *plain) accept(ctx context.Context, events []engine.Event) error {
	return inParallel(plainConcurrency, chunks(events, 1), func(one []engine.Event) error {
		return acceptAll(ctx, p.intake, one)
	})
}

func (p *plain) work(ctx context.Context) (func() error, error) {
	if err := p.learn(ctx); err != nil {
		return nil, err
	}
	err := p.server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		if t.Type() == tasks.TypeCreate {
			return p.create(ctx, t)
		}
		return p.fire(ctx, t)
	}))
	return func() error { p.server.Shutdown(); return nil }, err
}

// learn compiles the rules, once.
func (p *plain) learn(ctx context.Context) error {
	dir, err := p.store.Directory(ctx)
	if err != nil {
		return err
	}
	policy, row, err := p.store.Policy(ctx, 0)
	if err != nil {
		return err
	}
	p.codes = map[model.HospitalID]string{}
	for id, h := range dir.Hospitals {
		p.codes[id] = h.Code
	}
	p.rules, err = sla.Compile(policy, row.Revision, dir)
	return err
}

// create decides one feedback in one transaction and enqueues its jobs.
func (p *plain) create(ctx context.Context, t *asynq.Task) error {
	task, err := tasks.Decode[tasks.CreatePayload](t.Type(), t.Payload())
	if err != nil {
		return err
	}
	var r rows
	err = p.db.RunInTx(ctx, &sql.TxOptions{}, func(ctx context.Context, tx bun.Tx) error {
		var f struct {
			model.Feedback `bun:",extend"`
			Number         int64 `bun:",scanonly"`
		}
		err := tx.NewSelect().Model(&f).ColumnExpr("f.*").ColumnExpr("nextval('action_ref_seq') AS number").
			Where("id = ?", task.Feedback[0]).For("UPDATE").Scan(ctx)
		if err != nil || f.Decision != "" {
			return err
		}
		r = p.decide(&f.Feedback, f.Number)
		return r.write(ctx, tx, &f.Feedback)
	})
	if err != nil || r.action == nil {
		return err
	}
	armed, err := (*plainQueue)(p).Enqueue(ctx, r.effects())
	if err != nil {
		return err
	}
	_, err = p.db.NewRaw("UPDATE actions SET armed_gen = ? WHERE id = ? AND armed_gen < ?", armed[0].Gen, armed[0].ActionID, armed[0].Gen).Exec(ctx)
	return err
}

// decide asks the same rules as px and makes the same rows of the answer.
func (p *plain) decide(f *model.Feedback, number int64) rows {
	now := time.Now().UTC()
	p.mu.Lock()
	d := p.rules.Decide(f, p.loads, now, "")
	p.mu.Unlock()
	at := now.Truncate(time.Second)
	f.Decision, f.Reason, f.DecidedAt, f.PolicyRevision = d.Decision, d.Reason, &at, &p.rules.Revision
	if d.Outcome == nil {
		return rows{}
	}
	a := &d.Outcome.Action
	a.ID, a.FeedbackID = model.NewID[model.Action](), f.ID.Ptr()
	a.Ref = fmt.Sprintf("%s-%02d-%07d", p.codes[a.HospitalID], at.Year()%100, number)
	a.CreatedAt, a.UpdatedAt, a.ArmAfter = at, at, now.Add(5*time.Second)
	f.ActionID = a.ID.Ptr()
	r := rows{action: a, logs: d.Outcome.Logs}
	for i := range r.logs {
		l := &r.logs[i]
		l.ID, l.ActionID, l.CreatedAt = model.NewID[model.ActionLog](), a.ID, at
		if l.Metadata.V == nil {
			l.Metadata.V = model.LogMetadata{}
		}
	}
	for _, told := range d.Outcome.Messages {
		m := told.Message
		m.ID, m.ActionID, m.CreatedAt = model.NewID[model.Message](), a.ID, at
		m.Key, m.Facts.V.Ref = "px_"+m.ID.Hex(), a.Ref
		if m.State == model.MessagePending {
			m.NextTryAt = &now
		}
		r.messages = append(r.messages, m)
	}
	return r
}

// rows are what one decision writes.
type rows struct {
	action   *model.Action
	logs     []model.ActionLog
	messages []model.Message
}

func (r rows) write(ctx context.Context, tx bun.Tx, f *model.Feedback) error {
	if r.action != nil {
		if _, err := tx.NewInsert().Model(r.action).Exec(ctx); err != nil {
			return err
		}
	}
	if len(r.logs) > 0 {
		if _, err := tx.NewInsert().Model(&r.logs).Exec(ctx); err != nil {
			return err
		}
	}
	if len(r.messages) > 0 {
		if _, err := tx.NewInsert().Model(&r.messages).Exec(ctx); err != nil {
			return err
		}
	}
	_, err := tx.NewUpdate().Model(f).Column("decision", "reason", "action_id", "decided_at", "policy_revision").WherePK().Exec(ctx)
	return err
}

func (r rows) effects() tasks.Effects {
	a := r.action
	e := tasks.Effects{Arm: []tasks.Arm{{ActionID: a.ID, Gen: a.Gen, Kind: a.NextKind, Stage: *a.NextStage, At: *a.NextAt}}}
	for i := range r.messages {
		if m := &r.messages[i]; m.State == model.MessagePending {
			e.Send = append(e.Send, tasks.Send{MessageID: m.ID, At: *m.NextTryAt})
		}
	}
	return e
}

// fire takes what is due of one action in one transaction, by the same call as
// px with nobody to share it with.
func (p *plain) fire(ctx context.Context, t *asynq.Task) error {
	task, err := tasks.Decode[tasks.DeadlinePayload](t.Type(), t.Payload())
	if err != nil {
		return err
	}
	fired, effects, err := p.store.Fire(ctx, []store.DeadlineRef{{ActionID: task.Action, Gen: task.Gen}})
	if err != nil {
		return err
	}
	if fired[0].Err != nil || fired[0].Outcome == store.NotDue {
		return errors.Join(fired[0].Err, errors.New("not fired"))
	}
	armed, err := (*plainQueue)(p).Enqueue(ctx, effects)
	return errors.Join(err, p.store.MarkArmed(ctx, armed))
}

func (p *plain) close() error {
	if p.intake != nil {
		p.intake.Close()
	}
	return errors.Join(p.client.Close(), p.db.Close(), p.store.Close())
}
