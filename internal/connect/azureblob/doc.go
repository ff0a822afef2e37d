// Package azureblob reads and writes blobs of Azure Storage.
package azureblob
