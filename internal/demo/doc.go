// Package demo plays the sample feedback into running processes at a fast
// clock, with simulated staff who work some actions in time, some late and some
// never, and shows what comes of it.
package demo
