package notify

import "testing"

// TestCallsThatWereUnderWayLetNoOthersIn: what ends without an answer while a
// silent host is being asked says nothing of that asking.
func TestCallsThatWereUnderWayLetNoOthersIn(t *testing.T) {
	t.Parallel()
	const host = "hooks.example.org"
	var h hosts
	for range 10 {
		if _, may := h.enter(host); !may {
			t.Fatal("a host that nothing is known of is not called")
		}
	}
	asking := 0
	for i := range 10 {
		h.leave(t.Context(), host, false, temporary("timeout"))
		if i+1 < silentAfter {
			continue
		}
		if _, may := h.enter(host); may {
			asking++
		}
	}
	if asking != 1 {
		t.Errorf("%d calls at a time, want 1", asking)
	}
	h.leave(t.Context(), host, true, temporary("timeout"))
	if asks, may := h.enter(host); !asks || !may {
		t.Error("it is not asked again")
	}
}
