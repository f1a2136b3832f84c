// Package samples holds the sample policy and directory, for the demo and the
// tests.
package samples

import _ "embed"

// Directory is a sample of `px directory apply`: two hospitals and their people.
//
//go:embed directory.yaml
var Directory []byte

// Policy is a sample of `px policy apply`.
//
//go:embed policy.yaml
var Policy []byte

// DemoPolicy has hours short enough for the fast clock of `px demo`.
//
//go:embed demo-policy.yaml
var DemoPolicy []byte

// PolicyTests is a sample of `px policy test`: what Policy is to make of feedback.
//
//go:embed policy-tests.yaml
var PolicyTests []byte
