package notify

import (
	"testing"
	"time"
)

func TestAReceiverParksNothingForEver(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{0: time.Minute, time.Second: time.Minute, time.Hour: time.Hour, 1000 * time.Hour: 24 * time.Hour} {
		if got := (&SendError{RetryAfter: asked}).Wait(time.Minute); got != want {
			t.Errorf("asked for %s: %s, want %s", asked, got, want)
		}
	}
}
