// Package receiver plays the outside world that messages go to: a mail server
// and a webhook receiver, on loopback, speaking the real protocols. Tests run
// them in their own process and point px processes at their addresses.
//
// Both record all that reaches them, can be told how to treat what comes next,
// and let a test wait for what it expects without sleeping.
package receiver
