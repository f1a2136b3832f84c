package producer

// Busy is how many requests the intake has in hand.
func (p *Producer) Busy() int { return int(p.load.requests.taken.Load()) }

// Held is how many bytes it holds for them.
func (p *Producer) Held() int { return int(p.load.bytes.taken.Load()) }
