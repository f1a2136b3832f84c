package localenv

import (
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheFolderGoesWithTheLast makes and removes run folders at the same time,
// as processes do that come and go.
func TestTheFolderGoesWithTheLast(t *testing.T) {
	t.Parallel()
	o := setup(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 40 {
				p, err := o.newPlace(t.Context(), "redis")
				if !assert.NoError(t, err) {
					return
				}
				assert.DirExists(t, p.data, "somebody removed what is in use")
				assert.NoError(t, os.RemoveAll(p.run))
				p.unlock()
				removeBase(o.TempDir)
			}
		})
	}
	wg.Wait()
	require.NoDirExists(t, o.TempDir)
}
