package files

import "time"

// Impatient makes the bucket wait for its storage for so long (machine time).
func Impatient(b *Bucket, d time.Duration) { b.patience = d }
