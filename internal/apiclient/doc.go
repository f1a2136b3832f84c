// Package apiclient is a client of the HTTP interface, generated from its
// description by oapi-codegen (`make client`). It proves the description: a test
// works an action with it. It is a module of its own, so that what a generated
// client needs stays out of the program; other people's programs use
// producer/client, or generate a client of their own in the same way.
package apiclient
