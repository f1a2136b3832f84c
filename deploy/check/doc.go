// Package check holds tests of the manifests in deploy/kubernetes: against the API's own schemas, and
// against what this program needs of them. It is a module of its own so that the Kubernetes libraries stay
// out of the program's dependencies. It talks to no cluster.
package check
