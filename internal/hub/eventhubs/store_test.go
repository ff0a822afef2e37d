package eventhubs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// store is a checkpoint store in memory.
type store struct {
	mu          sync.Mutex
	checkpoints map[string]azeventhubs.Checkpoint
	owners      map[string]azeventhubs.Ownership
	tags        int
}

func newStore() *store {
	return &store{checkpoints: map[string]azeventhubs.Checkpoint{}, owners: map[string]azeventhubs.Ownership{}}
}

func (s *store) ClaimOwnership(_ context.Context, list []azeventhubs.Ownership, _ *azeventhubs.ClaimOwnershipOptions) ([]azeventhubs.Ownership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var claimed []azeventhubs.Ownership
	for _, o := range list {
		old, ok := s.owners[o.PartitionID]
		if ok && o.ETag != nil && *o.ETag != *old.ETag {
			continue
		}
		s.tags++
		o.ETag, o.LastModifiedTime = tag(o.ETag, s.tags), time.Now()
		s.owners[o.PartitionID] = o
		claimed = append(claimed, o)
	}
	return claimed, nil
}

// tag makes a tag of the type that another one has.
func tag[T ~string](_ *T, n int) *T {
	v := T(fmt.Sprint(n))
	return &v
}

func (s *store) ListCheckpoints(context.Context, string, string, string, *azeventhubs.ListCheckpointsOptions) ([]azeventhubs.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []azeventhubs.Checkpoint
	for _, c := range s.checkpoints {
		list = append(list, c)
	}
	return list, nil
}

func (s *store) ListOwnership(context.Context, string, string, string, *azeventhubs.ListOwnershipOptions) ([]azeventhubs.Ownership, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []azeventhubs.Ownership
	for _, o := range s.owners {
		list = append(list, o)
	}
	return list, nil
}

func (s *store) SetCheckpoint(_ context.Context, c azeventhubs.Checkpoint, _ *azeventhubs.SetCheckpointOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoints[c.PartitionID] = c
	return nil
}
