// A session of the AWS SDK for JavaScript against the lab: a rotation, stages, lists and errors that are classes of their own.

import { strict as assert } from "node:assert";
import { once } from "node:events";
import {
  CreateSecretCommand, DescribeSecretCommand, GetSecretValueCommand, InvalidRequestException, ListSecretsCommand,
  PutSecretValueCommand, ResourceExistsException, ResourceNotFoundException, RotateSecretCommand, SecretsManagerClient,
  UpdateSecretVersionStageCommand, paginateListSecrets,
} from "@aws-sdk/client-secrets-manager";

const [endpoint, functionArn] = process.argv.slice(2);
const credentials = { accessKeyId: "lab", secretAccessKey: "lab-secret" };
const client = new SecretsManagerClient({ endpoint, region: "us-east-1", credentials });
const send = (Command, input) => client.send(new Command(input));
const read = (input) => send(GetSecretValueCommand, { SecretId: "app/db", ...input });

const created = await send(CreateSecretCommand, { Name: "app/db", SecretString: "first" });
const first = await read();
assert.equal(first.SecretString, "first");
assert.equal(first.VersionId, created.VersionId);
assert.ok(first.CreatedDate instanceof Date);
assert.match(first.$metadata.requestId, /^[0-9a-f-]{36}$/);

await send(PutSecretValueCommand, {
  SecretId: "app/db", SecretBinary: new Uint8Array([0, 1, 255]), VersionStages: ["AWSPENDING"],
});
const pending = await read({ VersionStage: "AWSPENDING" });
assert.deepEqual([...pending.SecretBinary], [0, 1, 255]);
assert.equal((await read()).SecretString, "first");
await send(UpdateSecretVersionStageCommand, {
  SecretId: "app/db", VersionStage: "AWSPENDING", RemoveFromVersionId: pending.VersionId,
});

const { VersionId } = await send(RotateSecretCommand, { SecretId: "app/db", RotationLambdaARN: functionArn });
console.log("rotating", VersionId);
await once(process.stdin, "data");
const now = await read();
assert.equal(now.SecretString, `value of ${VersionId}`);
assert.deepEqual(now.VersionStages, ["AWSCURRENT"]);
assert.equal((await read({ VersionStage: "AWSPREVIOUS" })).SecretString, "first");
const described = await send(DescribeSecretCommand, { SecretId: created.ARN });
assert.deepEqual(described.VersionIdsToStages[VersionId], ["AWSCURRENT"]);
assert.ok(described.LastRotatedDate instanceof Date);

for (let n = 0; n < 5; n++) {
  await send(CreateSecretCommand, { Name: `list/${n}`, SecretString: `${n}` });
}
const names = [];
const filters = [{ Key: "name", Values: ["list/"] }];
for await (const page of paginateListSecrets({ client, pageSize: 2 }, { Filters: filters })) {
  names.push(...page.SecretList.map((secret) => secret.Name));
}
assert.deepEqual(names.sort(), [0, 1, 2, 3, 4].map((n) => `list/${n}`));
assert.equal((await send(ListSecretsCommand, { MaxResults: 1 })).SecretList.length, 1);

await assert.rejects(send(GetSecretValueCommand, { SecretId: "nothing" }), ResourceNotFoundException);
await assert.rejects(send(CreateSecretCommand, { Name: "app/db", SecretString: "x" }), ResourceExistsException);
await assert.rejects(read({ VersionId, VersionStage: "AWSPREVIOUS" }), InvalidRequestException);
console.log("the session is over");
process.exit(0);
