// Package sla says when and to whom: trigger, routing, SLA match, calendar,
// plan, escalation, catch-up and the moves. It is pure: no I/O, no clock of its
// own, no randomness; every function takes the instant it is asked about.
package sla
