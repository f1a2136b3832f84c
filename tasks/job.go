package tasks

import (
	"encoding/json"
	"time"

	"github.com/hibiken/asynq"

	"github.com/pxactions/px/model"
)

const (
	// MaxRetry is how often a task may fail before asynq archives it. It must
	// never be 0: asynq archives such a task unrun when a worker crashes.
	MaxRetry = 10

	// taskTimeout is how long one run of a task may take. asynq keeps whole
	// seconds only.
	taskTimeout = 60 * time.Second
	// sendTimeout leaves a slow mail server time to answer.
	sendTimeout = 2 * time.Minute
	// HousekeepingTimeout is how long one run of periodic work may take, which
	// may go over whole tables.
	HousekeepingTimeout = 30 * time.Minute
)

// job is a task with what asynq must know of it. It has neither Unique (its
// lock dangles after an id conflict) nor Retention (a kept task blocks its id).
type job struct {
	id      string
	queue   string
	at      time.Time // zero: at once
	timeout time.Duration
	task    *asynq.Task
}

func (j job) options() []asynq.Option {
	return []asynq.Option{
		asynq.TaskID(j.id),
		asynq.Queue(j.queue),
		asynq.ProcessAt(wholeSecond(j.at)),
		asynq.MaxRetry(MaxRetry),
		asynq.Timeout(j.timeout),
	}
}

// wholeSecond rounds up: asynq truncates, and would run the task early.
func wholeSecond(t time.Time) time.Time {
	whole := t.Truncate(time.Second)
	if whole.Before(t) {
		return whole.Add(time.Second)
	}
	return whole
}

func (a Arm) job() job {
	return job{
		id: a.ID(), queue: QueueOf(a.Kind), at: a.At, timeout: taskTimeout,
		task: asynq.NewTask(TypeOf(a.Kind), encode(DeadlinePayload{Action: a.ActionID, Gen: a.Gen})),
	}
}

func (s Send) job() job {
	return job{
		id: s.ID(), queue: QueueMessage, at: s.At, timeout: sendTimeout,
		task: asynq.NewTask(TypeSend, encode(SendPayload{Message: s.MessageID, Attempt: s.Attempt})),
	}
}

func createJob(ids []model.FeedbackID) job {
	return job{
		id: CreateID(ids), queue: QueueIntake, timeout: taskTimeout,
		task: asynq.NewTask(TypeCreate, encode(CreatePayload{Feedback: ids})),
	}
}

// Housekeeping is the task of a periodic work, with its options, for asynq's
// periodic scheduler. It has no id of its own: an archived tick would block all
// later ones. name follows TypeHousekeeping in the task's type.
func Housekeeping(name string) (*asynq.Task, []asynq.Option) {
	return asynq.NewTask(TypeHousekeeping+name, nil), []asynq.Option{
		asynq.Queue(QueueHousekeeping),
		asynq.MaxRetry(MaxRetry),
		asynq.Timeout(HousekeepingTimeout),
	}
}

// encode cannot fail on the payloads of this package, which are ids and
// numbers.
func encode(payload any) []byte {
	b, _ := json.Marshal(payload)
	return b
}
