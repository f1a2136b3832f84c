package tasks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// Both libraries repeat themselves while Redis is away: several lines a second
// and server. One burst per period tells as much.
const (
	logBurst  = 3
	logPeriod = 10 * time.Second
)

// LogRedis sends go-redis's own lines, for the whole process, to log as
// warnings: the client heals itself. Call it once, from main.
func LogRedis(log zerolog.Logger) {
	redis.SetLogger(redisLog{sampled(log)})
}

type redisLog struct{ log zerolog.Logger }

func (l redisLog) Printf(_ context.Context, format string, v ...any) {
	l.log.Warn().Str("component", "redis").Str("text", fmt.Sprintf(format, v...)).Msg("redis client")
}

// AsynqLogger sends an asynq server's or scheduler's own lines to log. Its
// errors are faults of Redis, which heal, and so are warnings here; its chatter
// is for debugging.
func AsynqLogger(log zerolog.Logger) asynq.Logger {
	return asynqLog{log: log, noisy: sampled(log)}
}

func sampled(log zerolog.Logger) zerolog.Logger {
	return log.Sample(&zerolog.BurstSampler{Burst: logBurst, Period: logPeriod})
}

type asynqLog struct{ log, noisy zerolog.Logger }

func (l asynqLog) write(e *zerolog.Event, args []any) {
	e.Str("component", "asynq").Str("text", fmt.Sprint(args...)).Msg("asynq")
}

func (l asynqLog) Debug(args ...any) { l.write(l.log.Trace(), args) }
func (l asynqLog) Info(args ...any)  { l.write(l.log.Debug(), args) }
func (l asynqLog) Warn(args ...any)  { l.write(l.noisy.Warn(), args) }
func (l asynqLog) Error(args ...any) {
	// asynq complains at every shutdown that it may not close a client that it
	// was lent.
	if strings.HasPrefix(fmt.Sprint(args...), "Failed to close redis client connection") {
		return
	}
	l.write(l.noisy.Warn(), args)
}

// Fatal does not end the process, as only main may; asynq itself never calls it.
func (l asynqLog) Fatal(args ...any) { l.write(l.log.Error(), args) }
