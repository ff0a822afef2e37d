package kafka

import (
	"context"
	"fmt"
	"net"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

// entra signs in to the Kafka endpoint of Event Hubs with the identity of the machine or its
// environment. Each connection asks for a token; the credential keeps it while it is good.
func entra(broker string) (sasl.Mechanism, error) {
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		return nil, err
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("sign in with Entra: %w", err)
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		t, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://" + host + "/.default"}})
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("sign in with Entra: %w", err)
		}
		return oauth.Auth{Token: t.Token}, nil
	}), nil
}
