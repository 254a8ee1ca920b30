// The same with the AWS CDK: the function from a zip of `cargo xtask package`, the secret, its schedule.
import { Duration, Stack, StackProps } from 'aws-cdk-lib';
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function, Runtime } from 'aws-cdk-lib/aws-lambda';
import { CfnRotationSchedule, Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

export class RotationStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);

    const rotate = new Function(this, 'RotatePostgres', {
      functionName: 'turnlock-postgres',
      runtime: Runtime.PROVIDED_AL2023,
      architecture: Architecture.ARM_64,
      handler: 'bootstrap',
      code: Code.fromAsset('target/package/rotate-postgres-arm64.zip'),
      timeout: Duration.minutes(1),
    });
    const functionArn = `arn:${this.partition}:lambda:${this.region}:${this.account}:function:turnlock-postgres`;
    rotate.addToRolePolicy(new PolicyStatement({
      effect: Effect.ALLOW,
      actions: [
        'secretsmanager:DescribeSecret',
        'secretsmanager:GetSecretValue',
        'secretsmanager:ListSecretVersionIds',
        'secretsmanager:PutSecretValue',
        'secretsmanager:UpdateSecretVersionStage',
      ],
      resources: [`arn:${this.partition}:secretsmanager:${this.region}:${this.account}:secret:prod/*`],
      conditions: { StringEquals: { 'secretsmanager:resource/AllowRotationLambdaArn': functionArn } },
    }));
    rotate.addPermission('SecretsManager', {
      principal: new ServicePrincipal('secretsmanager.amazonaws.com'),
      sourceAccount: this.account,
    });

    const secret = Secret.fromSecretNameV2(this, 'AppSecret', 'prod/app');
    // Not Secret.addRotationSchedule: it would give the function's role more than the statement above.
    new CfnRotationSchedule(this, 'AppRotation', {
      secretId: secret.secretName,
      rotationLambdaArn: rotate.functionArn,
      rotateImmediatelyOnUpdate: false,
      rotationRules: { scheduleExpression: 'cron(0 2 ? * SUN *)', duration: '2h' },
    });
  }
}
