// Package apifuzz holds a fuzzer of the HTTP interface, as a test: it reads the
// description that px serves, makes sound and broken requests from it, and holds
// every answer against it. PX_FUZZ_REQUESTS, PX_FUZZ_SEED and PX_FUZZ_WORKERS set
// how many requests, which ones, and how many at once.
package apifuzz
