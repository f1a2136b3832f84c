// Package tasks is the wire: task types, payloads, ids, queues, options, and
// the enqueueing of effects. Tasks carry ids only; a task lost here is made
// again from the rows.
package tasks
