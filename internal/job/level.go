package job

import (
	"weir/internal/codec"
	"weir/internal/plan"
)

// rulesOf are the rules of decoders at a compatibility level (saql.md 3.9).
func rulesOf(l plan.Level) codec.Rules {
	return codec.Rules{LowerNames: l == plan.Level10, Dates: l == plan.Level10, BitsAsInts: l != plan.Level12}
}
