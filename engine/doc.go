// Package engine holds the use cases: accept, decide, fire, move, deliver, and
// the healing of each. Every one loads, decides in pure code, commits once and
// then hands the effects to the queue. Task handlers, sweeps, intake and API all
// call the same methods.
package engine
