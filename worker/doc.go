// Package worker is where asynq asks the engine: servers, handlers, and what
// becomes of a handler's answer. It decides nothing itself.
package worker
