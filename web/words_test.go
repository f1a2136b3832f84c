package web

import (
	"testing"
	"time"
)

func TestSpansAreRounded(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 61 * time.Second: "1 min 1 s", -90 * time.Minute: "1 h 30 min",
		2*time.Hour - time.Second: "2 h", 2*time.Hour - 31*time.Second: "1 h 59 min", 48*time.Hour - time.Minute: "2 d",
		24*time.Hour - time.Second: "1 d", 49*time.Hour + 20*time.Minute: "2 d 1 h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %q, want %q", d, got, want)
		}
	}
}
