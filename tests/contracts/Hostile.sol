// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;

import {IClaimIssuer} from "../../contracts/interfaces/IClaimIssuer.sol";
import {IERC734} from "../../contracts/interfaces/IERC734.sol";

/// @dev Burns whatever gas it gets.
contract Burner {
    fallback() external payable {
        assembly {
            invalid()
        }
    }
}

/// @dev Answers with 200 kB, or reverts with as much.
contract Bomb {
    bool private immutable REVERTS;

    constructor(bool reverts) {
        REVERTS = reverts;
    }

    fallback() external payable {
        bool reverts = REVERTS;
        assembly {
            mstore(0, 1)
            if reverts {
                revert(0, 200000)
            }
            return(0, 200000)
        }
    }
}

/// @dev Says to each selector what it was told to say.
contract Parrot {
    mapping(bytes4 => bytes) private _answers;

    function teach(bytes4 selector, bytes calldata answer) external {
        _answers[selector] = answer;
    }

    fallback() external payable {
        bytes memory answer = _answers[msg.sig];
        assembly {
            return(add(answer, 0x20), mload(answer))
        }
    }
}

/// @dev When a claim is added, calls the issuer back with everything that it could gain from.
contract Reentrant {
    IClaimIssuer private immutable ISSUER;
    uint256 public tried;
    uint256 public succeeded;

    constructor(IClaimIssuer issuer) {
        ISSUER = issuer;
    }

    function addClaim(uint256, uint256, address, bytes calldata, bytes calldata, string calldata)
        external
        returns (bytes32)
    {
        _try(abi.encodeCall(ISSUER.onboard, (new IClaimIssuer.Onboarding[](0))));
        _try(abi.encodeCall(ISSUER.addClaimsTo, (new IClaimIssuer.Addition[](0))));
        _try(abi.encodeCall(ISSUER.execute, (address(this), 0, "")));
        return bytes32(uint256(1));
    }

    function _try(bytes memory data) private {
        ++tried;
        (bool success,) = address(ISSUER).call(data);
        if (success) ++succeeded;
    }
}

/// @dev An approver that, when called by its identity, approves the same request again.
contract Reapprover {
    IERC734 public identity;
    uint256 public runs;
    bool public again;

    function aim(IERC734 identity_) external {
        identity = identity_;
    }

    function approve(uint256 id) external {
        identity.approve(id, true);
    }

    function run() external payable {
        ++runs;
        try identity.approve(0, true) {
            again = true;
        } catch {}
        try identity.execute(address(this), 0, abi.encodeCall(this.run, ())) {
            again = true;
        } catch {}
    }
}

/// @dev A contract wallet that consents to one digest.
contract Wallet {
    bytes32 private _digest;

    function consent(bytes32 digest) external {
        _digest = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _digest ? this.isValidSignature.selector : bytes4(0);
    }
}
