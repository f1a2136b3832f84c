// Package clockbench measures the SLA clock beside rickar/cal/v2, on hours that
// both can express. It is a module of its own, so that the other library stays
// out of the program:
//
//	go test -C internal/clockbench -bench .
package clockbench
