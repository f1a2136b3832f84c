// Package model says what things are and which moves are legal: the rows, the
// enums, the transition table and the errors. It imports nothing of ours.
package model
