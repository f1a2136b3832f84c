package crowd

import (
	"fmt"
	"os"
	"time"
)

// Processor is how long a process of this machine has had a processor: what counts
// on a machine that others use.
func Processor(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	var on time.Duration
	if _, err := fmt.Sscan(string(raw), &on); err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return on, nil
}
