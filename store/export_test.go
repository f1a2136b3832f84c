package store

// CheckNames lists what Verify looks for.
func CheckNames() []string {
	names := []string{planDiffers, pinMissing}
	for _, c := range checks() {
		names = append(names, c.what)
	}
	return names
}
