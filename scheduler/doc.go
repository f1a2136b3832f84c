// Package scheduler is time asking the engine: sweeps that do what nobody has
// done in time, on tickers of their own and never through the queue, so that
// they go on with Redis down; and the ticks of the periodic housekeeping, which
// are asynq tasks.
package scheduler
